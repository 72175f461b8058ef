from datetime import datetime

import strawberry

import schema.events.event  # noqa: F401  registers EventKind
from db.paging import Slice
from db.tables.alerts import RecipientRow
from domain.alerts.recipients import DEFAULT_KINDS, Role
from domain.events.kinds import EventKind as Kind
from schema.common.page_info import PageInfo

RecipientRole = strawberry.enum(
    Role,
    name="RecipientRole",
    description="VIEWER: gets alerts and may read devices. ADMIN: may also change them.",
)


@strawberry.type(description="A recipient of alerts.")
class Recipient:
    row: strawberry.Private[RecipientRow]

    @strawberry.field(description="The recipient's number, for `removeRecipient`.")
    def id(self) -> strawberry.ID:
        return strawberry.ID(str(self.row.id))

    @strawberry.field(description="How it gets alerts: `telegram`, `webhook` or `log`.")
    def channel(self) -> str:
        return self.row.channel

    @strawberry.field(description="Address of the recipient: a chat's id or a URL.")
    def address(self) -> str:
        return self.row.address

    @strawberry.field(description="Display name; null if unknown.")
    def name(self) -> str | None:
        return self.row.name

    @strawberry.field(description="What it may do by commands to the bot.")
    def role(self) -> Role:
        return Role(self.row.role)

    @strawberry.field(description="The owner whose devices it may see; null: all.")
    def owner(self) -> str | None:
        return self.row.owner.name if self.row.owner else None

    @strawberry.field(description="The event kinds that it gets alerts for.")
    def kinds(self) -> list[Kind]:
        return sorted(DEFAULT_KINDS if self.row.kinds is None else map(Kind, self.row.kinds))

    @strawberry.field(description="Who added it: `settings`, or an actor as in `Event.actor`.")
    def source(self) -> str:
        return self.row.source

    @strawberry.field(description="Until when it gets no alerts; null: not muted.")
    def muted_until(self) -> datetime | None:
        return self.row.muted_until

    @strawberry.field(
        description="Daily time without alerts, such as `22:00-07:00 Europe/Paris`; null: none."
    )
    def quiet_hours(self) -> str | None:
        return str(self.row.quiet_hours) if self.row.quiet_hours else None

    @strawberry.field(
        description="Why it gets no more alerts, for example because it blocked the bot; null if "
        "it gets alerts."
    )
    def off_reason(self) -> str | None:
        return self.row.off_reason


@strawberry.type(description="A recipient with its cursor.")
class RecipientEdge:
    node: Recipient = strawberry.field(description="The recipient.")
    cursor: str = strawberry.field(description="Position in the list, for `after`.")


@strawberry.type(description="A page of recipients, in the order in which they were added.")
class RecipientConnection:
    page: strawberry.Private[Slice[RecipientRow]]

    @strawberry.field(description="The recipients of this page.")
    def nodes(self) -> list[Recipient]:
        return [Recipient(row=row) for row in self.page.rows]

    @strawberry.field(description="The recipients of this page with their cursors.")
    def edges(self) -> list[RecipientEdge]:
        pairs = zip(self.page.rows, self.page.cursors, strict=True)
        return [RecipientEdge(node=Recipient(row=row), cursor=cursor) for row, cursor in pairs]

    @strawberry.field(description="Position of this page in the list.")
    def page_info(self) -> PageInfo:
        return PageInfo.of(self.page)
