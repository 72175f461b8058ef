from datetime import datetime

import strawberry

import schema.events.event  # noqa: F401  where EventKind is described
from db.paging import Slice
from db.tables.alerts import RecipientRow
from domain.alerts.recipients import DEFAULT_KINDS, Role
from domain.events.kinds import EventKind as Kind
from schema.common.page_info import PageInfo

RecipientRole = strawberry.enum(
    Role,
    name="RecipientRole",
    description="VIEWER: is told, and may look at devices. ADMIN: may change them, too.",
)


@strawberry.type(description="Somebody who is told of events.")
class Recipient:
    row: strawberry.Private[RecipientRow]

    @strawberry.field(description="Its number, for `removeRecipient`.")
    def id(self) -> strawberry.ID:
        return strawberry.ID(str(self.row.id))

    @strawberry.field(description="By what it is told: `telegram`, `webhook` or `log`.")
    def channel(self) -> str:
        return self.row.channel

    @strawberry.field(description="Where: a chat's id, a URL.")
    def address(self) -> str:
        return self.row.address

    @strawberry.field(description="What people call it, as far as that is known.")
    def name(self) -> str | None:
        return self.row.name

    @strawberry.field(description="What may be done from there.")
    def role(self) -> Role:
        return Role(self.row.role)

    @strawberry.field(description="The only owner that it sees and is told of; null: all.")
    def owner(self) -> str | None:
        return self.row.owner.name if self.row.owner else None

    @strawberry.field(description="What it has chosen to be told.")
    def kinds(self) -> list[Kind]:
        return sorted(DEFAULT_KINDS if self.row.kinds is None else map(Kind, self.row.kinds))

    @strawberry.field(description="Who let it in: `settings`, or an actor of the audit log.")
    def source(self) -> str:
        return self.row.source

    @strawberry.field(description="Until when it wants to be told nothing.")
    def muted_until(self) -> datetime | None:
        return self.row.muted_until

    @strawberry.field(description="When it is told nothing each day: `22:00-07:00 Europe/Paris`.")
    def quiet_hours(self) -> str | None:
        return str(self.row.quiet_hours) if self.row.quiet_hours else None

    @strawberry.field(
        description="Why it is told nothing any more, for example that it blocked the bot."
    )
    def off_reason(self) -> str | None:
        return self.row.off_reason


@strawberry.type(description="A recipient in a list.")
class RecipientEdge:
    node: Recipient = strawberry.field(description="The recipient.")
    cursor: str = strawberry.field(description="Its place in the list, for `after`.")


@strawberry.type(description="A page of recipients, in the order in which they came.")
class RecipientConnection:
    page: strawberry.Private[Slice[RecipientRow]]

    @strawberry.field(description="The recipients of this page.")
    def nodes(self) -> list[Recipient]:
        return [Recipient(row=row) for row in self.page.rows]

    @strawberry.field(description="The recipients of this page with their cursors.")
    def edges(self) -> list[RecipientEdge]:
        pairs = zip(self.page.rows, self.page.cursors, strict=True)
        return [RecipientEdge(node=Recipient(row=row), cursor=cursor) for row, cursor in pairs]

    @strawberry.field(description="Where this page stands in the list.")
    def page_info(self) -> PageInfo:
        return PageInfo.of(self.page)
