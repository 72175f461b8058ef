import strawberry

from resolvers.devices.replace import replace_device
from schema.common.user_errors import UserError, UserErrors, errors_field
from schema.context import RollcallInfo
from schema.devices.device import Device


@strawberry.input(description="Which device is replaced, and by which.")
class ReplaceDeviceInput:
    id: strawberry.ID = strawberry.field(description="The old device, which may be broken.")
    by_id: strawberry.ID = strawberry.field(
        description="The new device, which has registered already, wherever that was."
    )


@strawberry.type(description="The new device in the place of the old one.")
class ReplaceDevicePayload:
    device: Device | None = strawberry.field(default=None, description="Null if there are errors.")
    errors: list[UserError] = errors_field()


@strawberry.mutation(
    description="New hardware takes over owner, location, type, config, what the old device heard, "
    "and whoever heard the old device by its id. The old device is deleted, with its tokens. What "
    "the new device heard before, it hears no more.",
    extensions=[UserErrors(ReplaceDevicePayload)],
)
async def replace(info: RollcallInfo, input: ReplaceDeviceInput) -> ReplaceDevicePayload:
    row = await replace_device(info.context.desk, info.context.caller, input.id, input.by_id)
    return ReplaceDevicePayload(device=Device(row=row))
