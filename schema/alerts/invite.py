from datetime import datetime

import strawberry

from db.paging import Slice
from db.tables.alerts import InviteRow
from domain.alerts.recipients import Role
from schema.common.page_info import PageInfo


@strawberry.type(description="An invitation for one Telegram chat; its code is not kept.")
class TelegramInvite:
    row: strawberry.Private[InviteRow]

    @strawberry.field(description="Its number, for `revokeTelegramInvite`.")
    def id(self) -> strawberry.ID:
        return strawberry.ID(str(self.row.id))

    @strawberry.field(description="What may be done from the chat that it lets in.")
    def role(self) -> Role:
        return Role(self.row.role)

    @strawberry.field(description="The only owner that the chat sees and is told of; null: all.")
    def owner(self) -> str | None:
        return self.row.owner.name if self.row.owner else None

    @strawberry.field(description="Whom it is for, in its maker's words.")
    def note(self) -> str | None:
        return self.row.note

    @strawberry.field(description="When it was made.")
    def created_at(self) -> datetime:
        return self.row.created_at

    @strawberry.field(description="Who made it; it ends with the maker's token.")
    def created_by(self) -> str:
        return self.row.created_by

    @strawberry.field(description="Until when it can be used.")
    def expires_at(self) -> datetime:
        return self.row.expires_at

    @strawberry.field(description="When it was used.")
    def used_at(self) -> datetime | None:
        return self.row.used_at

    @strawberry.field(description="The chat that it has let in.")
    def used_by(self) -> str | None:
        return self.row.used_by


@strawberry.type(description="An invitation in a list.")
class TelegramInviteEdge:
    node: TelegramInvite = strawberry.field(description="The invitation.")
    cursor: str = strawberry.field(description="Its place in the list, for `after`.")


@strawberry.type(description="A page of invitations, the newest first.")
class TelegramInviteConnection:
    page: strawberry.Private[Slice[InviteRow]]

    @strawberry.field(description="The invitations of this page.")
    def nodes(self) -> list[TelegramInvite]:
        return [TelegramInvite(row=row) for row in self.page.rows]

    @strawberry.field(description="The invitations of this page with their cursors.")
    def edges(self) -> list[TelegramInviteEdge]:
        pairs = zip(self.page.rows, self.page.cursors, strict=True)
        return [
            TelegramInviteEdge(node=TelegramInvite(row=row), cursor=cursor) for row, cursor in pairs
        ]

    @strawberry.field(description="Where this page stands in the list.")
    def page_info(self) -> PageInfo:
        return PageInfo.of(self.page)
