from datetime import datetime

import strawberry

from db.paging import Slice
from db.tables.tokens import TokenRow
from domain.access.tokens import TokenKind as Kind
from schema.common.page_info import PageInfo

TokenKind = strawberry.enum(
    Kind,
    name="TokenKind",
    description=(
        "ADMIN: may do everything. VIEWER: may read. ENROL: an enrolment key, may register "
        "devices. DEVICE: token of one device, for its own data."
    ),
)


@strawberry.type(description="Properties of a token, without its secret.")
class Token:
    row: strawberry.Private[TokenRow]

    @strawberry.field(description="The token's number, for `revokeToken`.")
    def id(self) -> strawberry.ID:
        return strawberry.ID(str(self.row.id))

    @strawberry.field(description="What the token may do.")
    def kind(self) -> Kind:
        return Kind(self.row.kind)

    @strawberry.field(description="The owner that the token is restricted to; null: all.")
    def owner(self) -> str | None:
        return self.row.owner.name if self.row.owner else None

    @strawberry.field(description="The device that the token belongs to; null for other kinds.")
    def device_id(self) -> strawberry.ID | None:
        return strawberry.ID(self.row.device_id) if self.row.device_id else None

    @strawberry.field(description="What the token is for.")
    def note(self) -> str | None:
        return self.row.note

    @strawberry.field(description="When the token was created.")
    def created_at(self) -> datetime:
        return self.row.created_at

    @strawberry.field(description="Who created the token, as in `Event.actor`.")
    def created_by(self) -> str:
        return self.row.created_by

    @strawberry.field(description="When the token expires; null: never.")
    def expires_at(self) -> datetime | None:
        return self.row.expires_at

    @strawberry.field(description="How many new devices it may register; null: any number.")
    def max_uses(self) -> int | None:
        return self.row.max_uses

    @strawberry.field(
        description="Number of new devices registered with it; null if `maxUses` is null."
    )
    def uses(self) -> int | None:
        return self.row.uses if self.row.max_uses is not None else None

    @strawberry.field(description="When the token was revoked; null: it was not.")
    def revoked_at(self) -> datetime | None:
        return self.row.revoked_at


@strawberry.type(description="A token with its cursor.")
class TokenEdge:
    node: Token = strawberry.field(description="The token.")
    cursor: str = strawberry.field(description="Position in the list, for `after`.")


@strawberry.type(description="A page of tokens, oldest first.")
class TokenConnection:
    page: strawberry.Private[Slice[TokenRow]]

    @strawberry.field(description="The tokens of this page.")
    def nodes(self) -> list[Token]:
        return [Token(row=row) for row in self.page.rows]

    @strawberry.field(description="The tokens of this page with their cursors.")
    def edges(self) -> list[TokenEdge]:
        pairs = zip(self.page.rows, self.page.cursors, strict=True)
        return [TokenEdge(node=Token(row=row), cursor=cursor) for row, cursor in pairs]

    @strawberry.field(description="Position of this page in the list.")
    def page_info(self) -> PageInfo:
        return PageInfo.of(self.page)
