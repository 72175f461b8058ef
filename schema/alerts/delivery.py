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
        "WAITING: to be told, or told again after a failure. SENT: the other side has taken it. "
        "DEAD: it was refused for good."
    ),
)


@strawberry.type(description="One event on its way to one recipient.")
class Delivery:
    of: strawberry.Private[ListedDelivery]

    @strawberry.field(description="Its number; those of one recipient are told in their order.")
    def id(self) -> strawberry.ID:
        return strawberry.ID(str(self.of.delivery.id))

    @strawberry.field(description="Who is told.")
    def recipient(self) -> Recipient:
        return Recipient(row=self.of.recipient)

    @strawberry.field(description="What is told; null where it is too old to be kept any more.")
    def event(self) -> Event | None:
        return Event(of=self.of.event) if self.of.event else None

    @strawberry.field(description="What became of it.")
    def state(self) -> State:
        return State(self.of.delivery.state)

    @strawberry.field(description="How often it was sent, or tried to be.")
    def attempts(self) -> int:
        return self.of.delivery.attempts

    @strawberry.field(
        description="When it is tried, at the earliest; null for one that does not wait, and where "
        "the recipient is told nothing any more."
    )
    def next_attempt_at(self) -> datetime | None:
        recipient = self.of.recipient
        if self.of.delivery.state != State.WAITING or recipient.off_reason is not None:
            return None
        return max(filter(None, (recipient.next_send_at, recipient.muted_until)))

    @strawberry.field(description="Why it failed the last time.")
    def last_error(self) -> str | None:
        delivery = self.of.delivery
        waits = delivery.state == State.WAITING
        return delivery.last_error or (self.of.recipient.last_error if waits else None)

    @strawberry.field(description="Since when it is to be told.")
    def created_at(self) -> datetime:
        return self.of.delivery.created_at

    @strawberry.field(description="When it was sent, or given up.")
    def settled_at(self) -> datetime | None:
        return self.of.delivery.settled_at


@strawberry.input(description="All that is given must hold.")
class DeliveryFilter:
    state: State | None = strawberry.field(default=None, description="Only of this state.")
    recipient_id: strawberry.ID | None = strawberry.field(
        default=None, description="Only to this recipient."
    )


@strawberry.type(description="A delivery in a list.")
class DeliveryEdge:
    node: Delivery = strawberry.field(description="The delivery.")
    cursor: str = strawberry.field(description="Its place in the list, for `after`.")


@strawberry.type(description="A page of deliveries, the newest first.")
class DeliveryConnection:
    page: strawberry.Private[Slice[ListedDelivery]]

    @strawberry.field(description="The deliveries of this page.")
    def nodes(self) -> list[Delivery]:
        return [Delivery(of=row) for row in self.page.rows]

    @strawberry.field(description="The deliveries of this page with their cursors.")
    def edges(self) -> list[DeliveryEdge]:
        pairs = zip(self.page.rows, self.page.cursors, strict=True)
        return [DeliveryEdge(node=Delivery(of=row), cursor=cursor) for row, cursor in pairs]

    @strawberry.field(description="Where this page stands in the list.")
    def page_info(self) -> PageInfo:
        return PageInfo.of(self.page)
