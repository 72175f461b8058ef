"""Mutations that create and revoke tokens."""

from datetime import datetime

import strawberry

from domain.access.inputs import NewToken
from domain.access.tokens import TokenKind as Kind
from resolvers.access import tokens
from schema.access.token import Token
from schema.common.user_errors import UserError, UserErrors, errors_field
from schema.common.values import values_of
from schema.context import RollcallInfo


@strawberry.input(description="Properties of the new token.")
class CreateTokenInput:
    kind: Kind = strawberry.field(description="ADMIN, VIEWER or ENROL.")
    owner: str | None = strawberry.field(
        default=None,
        description="The owner that the token is restricted to; if omitted, it is not restricted.",
    )
    note: str | None = strawberry.field(
        default=None, description="What the token is for, up to 200 characters."
    )
    expires_at: datetime | None = strawberry.field(
        default=None, description="When the token expires; if omitted, never."
    )
    max_uses: int | None = strawberry.field(
        default=None,
        description="How many new devices an enrolment key may register; if omitted, any number.",
    )


@strawberry.type(description="The new token.")
class CreateTokenPayload:
    token: Token | None = strawberry.field(default=None, description="Null if there are errors.")
    secret: str | None = strawberry.field(
        default=None, description="The token to send as bearer token; shown only once."
    )
    errors: list[UserError] = errors_field()


@strawberry.mutation(
    description="Creates a token for a person, or an enrolment key for devices.",
    extensions=[UserErrors(CreateTokenPayload)],
)
async def create_token(info: RollcallInfo, input: CreateTokenInput) -> CreateTokenPayload:
    wanted = NewToken.check(values_of(input))
    row, secret = await tokens.create_token(info.context.services, info.context.caller, wanted)
    return CreateTokenPayload(token=Token(row=row), secret=secret)


@strawberry.input(description="The token to revoke.")
class RevokeTokenInput:
    id: strawberry.ID = strawberry.field(description="The token's `id`, not its secret.")


@strawberry.type(description="The revoked token.")
class RevokeTokenPayload:
    token: Token | None = strawberry.field(default=None, description="Null if there are errors.")
    errors: list[UserError] = errors_field()


@strawberry.mutation(
    description="Revokes a token of any kind, at once and permanently.",
    extensions=[UserErrors(RevokeTokenPayload)],
)
async def revoke_token(info: RollcallInfo, input: RevokeTokenInput) -> RevokeTokenPayload:
    row = await tokens.revoke_token(info.context.services, info.context.caller, input.id)
    return RevokeTokenPayload(token=Token(row=row))
