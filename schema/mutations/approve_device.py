import strawberry

from resolvers.devices.approval import approve_device
from schema.common.user_errors import UserError, UserErrors, errors_field
from schema.context import RollcallInfo
from schema.devices.device import Device


@strawberry.input(description="Which device to let in.")
class ApproveDeviceInput:
    id: strawberry.ID = strawberry.field(description="The device.")


@strawberry.type(description="The device as it is now.")
class ApproveDevicePayload:
    device: Device | None = strawberry.field(default=None, description="Null if there are errors.")
    errors: list[UserError] = errors_field()


@strawberry.mutation(
    description="Lets a waiting device in: the token it waits with works from now on. Of a known "
    "device that got a new token, the old one works until the new one is used.",
    extensions=[UserErrors(ApproveDevicePayload)],
)
async def approve(info: RollcallInfo, input: ApproveDeviceInput) -> ApproveDevicePayload:
    row = await approve_device(info.context.desk, info.context.caller, input.id)
    return ApproveDevicePayload(device=Device(row=row))
