import strawberry

from resolvers.alerts.recipients import remove_recipient
from schema.alerts.recipient import Recipient
from schema.common.user_errors import UserError, UserErrors, errors_field
from schema.context import RollcallInfo


@strawberry.input(description="Whom to send away.")
class RemoveRecipientInput:
    id: strawberry.ID = strawberry.field(description="The recipient's number.")


@strawberry.type(description="Who was removed.")
class RemoveRecipientPayload:
    recipient: Recipient | None = strawberry.field(
        default=None, description="The recipient as it was; null if there are errors."
    )
    errors: list[UserError] = errors_field()


@strawberry.mutation(
    description="Removes a recipient: it is told nothing any more, what waits for it neither, and "
    "nothing can be done from there.",
    extensions=[UserErrors(RemoveRecipientPayload)],
)
async def remove(info: RollcallInfo, input: RemoveRecipientInput) -> RemoveRecipientPayload:
    row = await remove_recipient(info.context.desk, info.context.caller, input.id)
    return RemoveRecipientPayload(recipient=Recipient(row=row))
