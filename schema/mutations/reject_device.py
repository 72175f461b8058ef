import strawberry

from resolvers.devices.approval import reject_device
from schema.common.user_errors import UserError, UserErrors, errors_field
from schema.context import RollcallInfo
from schema.devices.device import Device


@strawberry.input(description="Which device to keep out.")
class RejectDeviceInput:
    id: strawberry.ID = strawberry.field(description="The device.")


@strawberry.type(description="The device as it is now.")
class RejectDevicePayload:
    device: Device | None = strawberry.field(default=None, description="Null if there are errors.")
    errors: list[UserError] = errors_field()


@strawberry.mutation(
    description="Keeps a waiting device out. A known device keeps the token it has, and the new "
    "one is refused until the device is approved after all.",
    extensions=[UserErrors(RejectDevicePayload)],
)
async def reject(info: RollcallInfo, input: RejectDeviceInput) -> RejectDevicePayload:
    row = await reject_device(info.context.desk, info.context.caller, input.id)
    return RejectDevicePayload(device=Device(row=row))
