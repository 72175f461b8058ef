from datetime import datetime

import strawberry

from db.paging import Slice
from db.tables.alerts import InviteRow
from domain.alerts.recipients import Role
from schema.common.page_info import PageInfo


@strawberry.type(description="An invitation for one Telegram chat. Its code is not stored.")
class TelegramInvite:
    row: strawberry.Private[InviteRow]

    @strawberry.field(description="The invitation's number, for `revokeTelegramInvite`.")
    def id(self) -> strawberry.ID:
        return strawberry.ID(str(self.row.id))

    @strawberry.field(description="What members of the chat may do.")
    def role(self) -> Role:
        return Role(self.row.role)

    @strawberry.field(description="The owner whose devices the chat may see; null: all.")
    def owner(self) -> str | None:
        return self.row.owner.name if self.row.owner else None

    @strawberry.field(description="Who the invitation is for.")
    def note(self) -> str | None:
        return self.row.note

    @strawberry.field(description="When the invitation was created.")
    def created_at(self) -> datetime:
        return self.row.created_at

    @strawberry.field(
        description="Who created it, as in `Event.actor`. It becomes invalid with that actor's "
        "token."
    )
    def created_by(self) -> str:
        return self.row.created_by

    @strawberry.field(description="When the invitation expires.")
    def expires_at(self) -> datetime:
        return self.row.expires_at

    @strawberry.field(description="When it was used; null: it was not.")
    def used_at(self) -> datetime | None:
        return self.row.used_at

    @strawberry.field(description="The chat that used it; null: none.")
    def used_by(self) -> str | None:
        return self.row.used_by


@strawberry.type(description="An invitation with its cursor.")
class TelegramInviteEdge:
    node: TelegramInvite = strawberry.field(description="The invitation.")
    cursor: str = strawberry.field(description="Position in the list, for `after`.")


@strawberry.type(description="A page of invitations, newest first.")
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

    @strawberry.field(description="Position of this page in the list.")
    def page_info(self) -> PageInfo:
        return PageInfo.of(self.page)
