import strawberry

from resolvers.access.tokens import revoke_token
from schema.access.token import Token
from schema.common.user_errors import UserError, UserErrors, errors_field
from schema.context import RollcallInfo


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
async def revoke(info: RollcallInfo, input: RevokeTokenInput) -> RevokeTokenPayload:
    row = await revoke_token(info.context.desk, info.context.caller, input.id)
    return RevokeTokenPayload(token=Token(row=row))
