import strawberry

from resolvers.alerts.invites import revoke_telegram_invite
from schema.alerts.invite import TelegramInvite
from schema.common.user_errors import UserError, UserErrors, errors_field
from schema.context import RollcallInfo


@strawberry.input(description="Which invitation to take back.")
class RevokeTelegramInviteInput:
    id: strawberry.ID = strawberry.field(description="The invitation's number, not its code.")


@strawberry.type(description="The invitation as it is now.")
class RevokeTelegramInvitePayload:
    invite: TelegramInvite | None = strawberry.field(
        default=None, description="Null if there are errors."
    )
    errors: list[UserError] = errors_field()


@strawberry.mutation(
    description="Takes an invitation back, so that it lets nobody in any more. Whom it has let in "
    "stays: see `removeRecipient`.",
    extensions=[UserErrors(RevokeTelegramInvitePayload)],
)
async def revoke(
    info: RollcallInfo, input: RevokeTelegramInviteInput
) -> RevokeTelegramInvitePayload:
    row = await revoke_telegram_invite(info.context.desk, info.context.caller, input.id)
    return RevokeTelegramInvitePayload(invite=TelegramInvite(row=row))
