import strawberry

from domain.devices.inputs import DeviceChange
from resolvers.devices.queries import update_device
from schema.common.user_errors import UserError, UserErrors, errors_field
from schema.common.values import values_of
from schema.context import RollcallInfo
from schema.devices.device import Device
from schema.devices.register import LocationInput


@strawberry.input(description="What is left out, or null, stays as it is.")
class UpdateDeviceInput:
    id: strawberry.ID = strawberry.field(description="The device.")
    owner: str | None = strawberry.field(default=None, description="Its new owner.")
    location: LocationInput | None = strawberry.field(
        default=None, description="Where it stands now; without coordinates they are removed."
    )
    measurement_type: str | None = strawberry.field(
        default=None, description="What it measures now."
    )
    sensor_model: str | None = strawberry.field(default=None, description="Its sensor model.")
    firmware: str | None = strawberry.field(default=None, description="Its firmware version.")


@strawberry.type(description="The device as it is now.")
class UpdateDevicePayload:
    device: Device | None = strawberry.field(default=None, description="Null if there are errors.")
    errors: list[UserError] = errors_field()


@strawberry.mutation(
    description="Changes a device. A new owner, place or measurement type gives it a new topic, "
    "and its config a new version.",
    extensions=[UserErrors(UpdateDevicePayload)],
)
async def update(info: RollcallInfo, input: UpdateDeviceInput) -> UpdateDevicePayload:
    change = DeviceChange.check(values_of(input))
    row = await update_device(info.context.desk, info.context.caller, input.id, change)
    return UpdateDevicePayload(device=Device(row=row))
