"""Tokens made and revoked."""

from datetime import datetime

import strawberry

from domain.access.inputs import NewToken
from domain.access.tokens import TokenKind as Kind
from resolvers.access import tokens
from schema.access.token import Token
from schema.common.user_errors import UserError, UserErrors, errors_field
from schema.common.values import values_of
from schema.context import RollcallInfo


@strawberry.input(description="What the new token is good for.")
class CreateTokenInput:
    kind: Kind = strawberry.field(description="ADMIN, VIEWER or ENROL.")
    owner: str | None = strawberry.field(
        default=None, description="The only owner it sees and changes; left out: all."
    )
    note: str | None = strawberry.field(
        default=None, description="What it is made for, up to 200 characters."
    )
    expires_at: datetime | None = strawberry.field(
        default=None, description="When it stops being valid; left out: never."
    )
    max_uses: int | None = strawberry.field(
        default=None, description="How many new devices an enrolment key may register."
    )


@strawberry.type(description="The new token.")
class CreateTokenPayload:
    token: Token | None = strawberry.field(default=None, description="Null if there are errors.")
    secret: str | None = strawberry.field(
        default=None, description="What to send as bearer token; shown this once."
    )
    errors: list[UserError] = errors_field()


@strawberry.mutation(
    description="Makes a token for a person, or an enrolment key for devices.",
    extensions=[UserErrors(CreateTokenPayload)],
)
async def create_token(info: RollcallInfo, input: CreateTokenInput) -> CreateTokenPayload:
    wanted = NewToken.check(values_of(input))
    row, secret = await tokens.create_token(info.context.services, info.context.caller, wanted)
    return CreateTokenPayload(token=Token(row=row), secret=secret)


@strawberry.input(description="Which token to revoke.")
class RevokeTokenInput:
    id: strawberry.ID = strawberry.field(description="The token's number, not its secret.")


@strawberry.type(description="The token as it is now.")
class RevokeTokenPayload:
    token: Token | None = strawberry.field(default=None, description="Null if there are errors.")
    errors: list[UserError] = errors_field()


@strawberry.mutation(
    description="Revokes a token at once and for good; also that of a device.",
    extensions=[UserErrors(RevokeTokenPayload)],
)
async def revoke_token(info: RollcallInfo, input: RevokeTokenInput) -> RevokeTokenPayload:
    row = await tokens.revoke_token(info.context.services, info.context.caller, input.id)
    return RevokeTokenPayload(token=Token(row=row))
