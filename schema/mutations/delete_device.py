import strawberry

from resolvers.devices.delete import delete_device
from schema.common.user_errors import UserError, UserErrors, errors_field
from schema.context import RollcallInfo


@strawberry.input(description="Which device to delete.")
class DeleteDeviceInput:
    id: strawberry.ID = strawberry.field(description="The device.")


@strawberry.type(description="What was deleted.")
class DeleteDevicePayload:
    id: strawberry.ID | None = strawberry.field(
        default=None, description="The deleted device's id; null if there are errors."
    )
    errors: list[UserError] = errors_field()


@strawberry.mutation(
    description="Deletes a device with its tokens. The audit log keeps what it was.",
    extensions=[UserErrors(DeleteDevicePayload)],
)
async def delete(info: RollcallInfo, input: DeleteDeviceInput) -> DeleteDevicePayload:
    row = await delete_device(info.context.desk, info.context.caller, input.id)
    return DeleteDevicePayload(id=strawberry.ID(row.id))
