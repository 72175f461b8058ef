from datetime import datetime

import strawberry

from db.paging import Slice
from domain.alerts.recipients import DeliveryState as State
from resolvers.alerts.deliveries import ListedDelivery
from schema.alerts.recipient import Recipient
from schema.common.page_info import PageInfo
from schema.events.event import Event

DeliveryState = strawberry.enum(
    State,
    name="DeliveryState",
    description=(
        "WAITING: not sent yet, or to be retried after a failure. SENT: accepted by the channel. "
        "DEAD: failed permanently."
    ),
)


@strawberry.type(description="One event to be sent to one recipient.")
class Delivery:
    listed: strawberry.Private[ListedDelivery]

    @strawberry.field(
        description="The delivery's number; deliveries to a recipient are sent in this order."
    )
    def id(self) -> strawberry.ID:
        return strawberry.ID(str(self.listed.delivery.id))

    @strawberry.field(description="The recipient.")
    def recipient(self) -> Recipient:
        return Recipient(row=self.listed.recipient)

    @strawberry.field(description="The event; null if it was deleted because of its age.")
    def event(self) -> Event | None:
        return Event(entry=self.listed.event) if self.listed.event else None

    @strawberry.field(description="State of the delivery.")
    def state(self) -> State:
        return State(self.listed.delivery.state)

    @strawberry.field(description="Number of attempts to send it.")
    def attempts(self) -> int:
        return self.listed.delivery.attempts

    @strawberry.field(
        description="Earliest time of the next attempt; null if the delivery is not WAITING, or "
        "if the recipient gets no more alerts (`offReason`)."
    )
    def next_attempt_at(self) -> datetime | None:
        recipient = self.listed.recipient
        if self.listed.delivery.state != State.WAITING or recipient.off_reason is not None:
            return None
        return max(filter(None, (recipient.next_send_at, recipient.muted_until)))

    @strawberry.field(description="Why the last attempt failed; null if none failed.")
    def last_error(self) -> str | None:
        delivery = self.listed.delivery
        waiting = delivery.state == State.WAITING
        return delivery.last_error or (self.listed.recipient.last_error if waiting else None)

    @strawberry.field(description="When the delivery was created.")
    def created_at(self) -> datetime:
        return self.listed.delivery.created_at

    @strawberry.field(description="When it was sent or failed permanently; null if WAITING.")
    def settled_at(self) -> datetime | None:
        return self.listed.delivery.settled_at


@strawberry.input(description="Only deliveries that match every given field.")
class DeliveryFilter:
    state: State | None = strawberry.field(
        default=None, description="Only deliveries in this state."
    )
    recipient_id: strawberry.ID | None = strawberry.field(
        default=None, description="Only deliveries to this recipient."
    )


@strawberry.type(description="A delivery with its cursor.")
class DeliveryEdge:
    node: Delivery = strawberry.field(description="The delivery.")
    cursor: str = strawberry.field(description="Position in the list, for `after`.")


@strawberry.type(description="A page of deliveries, newest first.")
class DeliveryConnection:
    page: strawberry.Private[Slice[ListedDelivery]]

    @strawberry.field(description="The deliveries of this page.")
    def nodes(self) -> list[Delivery]:
        return [Delivery(listed=row) for row in self.page.rows]

    @strawberry.field(description="The deliveries of this page with their cursors.")
    def edges(self) -> list[DeliveryEdge]:
        pairs = zip(self.page.rows, self.page.cursors, strict=True)
        return [DeliveryEdge(node=Delivery(listed=row), cursor=cursor) for row, cursor in pairs]

    @strawberry.field(description="Position of this page in the list.")
    def page_info(self) -> PageInfo:
        return PageInfo.of(self.page)
