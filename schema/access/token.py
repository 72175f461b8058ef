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
        "ADMIN: everything. VIEWER: reads. ENROL: registers devices. "
        "DEVICE: one device, about itself."
    ),
)


@strawberry.type(description="What is known of a token; its secret is not.")
class Token:
    row: strawberry.Private[TokenRow]

    @strawberry.field(description="Its number, for `revokeToken`.")
    def id(self) -> strawberry.ID:
        return strawberry.ID(str(self.row.id))

    @strawberry.field(description="What it is good for.")
    def kind(self) -> Kind:
        return Kind(self.row.kind)

    @strawberry.field(description="The only owner it sees and changes; null: all.")
    def owner(self) -> str | None:
        return self.row.owner.name if self.row.owner else None

    @strawberry.field(description="The device whose token it is.")
    def device_id(self) -> strawberry.ID | None:
        return strawberry.ID(self.row.device_id) if self.row.device_id else None

    @strawberry.field(description="What it was made for, in its maker's words.")
    def note(self) -> str | None:
        return self.row.note

    @strawberry.field(description="When it was made.")
    def created_at(self) -> datetime:
        return self.row.created_at

    @strawberry.field(description="Who made it.")
    def created_by(self) -> str:
        return self.row.created_by

    @strawberry.field(description="When it stops being valid; null: never.")
    def expires_at(self) -> datetime | None:
        return self.row.expires_at

    @strawberry.field(description="How many new devices it may register; null: any number.")
    def max_uses(self) -> int | None:
        return self.row.max_uses

    @strawberry.field(description="New devices registered with it; counted only with `maxUses`.")
    def uses(self) -> int | None:
        return self.row.uses if self.row.max_uses is not None else None

    @strawberry.field(description="When it was revoked.")
    def revoked_at(self) -> datetime | None:
        return self.row.revoked_at


@strawberry.type(description="A token in a list.")
class TokenEdge:
    node: Token = strawberry.field(description="The token.")
    cursor: str = strawberry.field(description="Its place in the list, for `after`.")


@strawberry.type(description="A page of tokens, the oldest first.")
class TokenConnection:
    page: strawberry.Private[Slice[TokenRow]]

    @strawberry.field(description="The tokens of this page.")
    def nodes(self) -> list[Token]:
        return [Token(row=row) for row in self.page.rows]

    @strawberry.field(description="The tokens of this page with their cursors.")
    def edges(self) -> list[TokenEdge]:
        pairs = zip(self.page.rows, self.page.cursors, strict=True)
        return [TokenEdge(node=Token(row=row), cursor=cursor) for row, cursor in pairs]

    @strawberry.field(description="Where this page stands in the list.")
    def page_info(self) -> PageInfo:
        return PageInfo.of(self.page)
