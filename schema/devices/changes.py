"""Devices changed, replaced and deleted."""

import strawberry

from domain.devices.inputs import DeviceChange
from resolvers.devices import delete, replace, update
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
async def update_device(info: RollcallInfo, input: UpdateDeviceInput) -> UpdateDevicePayload:
    change = DeviceChange.check(values_of(input))
    row = await update.update_device(info.context.services, info.context.caller, input.id, change)
    return UpdateDevicePayload(device=Device(row=row))


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
async def replace_device(info: RollcallInfo, input: ReplaceDeviceInput) -> ReplaceDevicePayload:
    row = await replace.replace_device(
        info.context.services, info.context.caller, input.id, input.by_id
    )
    return ReplaceDevicePayload(device=Device(row=row))


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
async def delete_device(info: RollcallInfo, input: DeleteDeviceInput) -> DeleteDevicePayload:
    row = await delete.delete_device(info.context.services, info.context.caller, input.id)
    return DeleteDevicePayload(id=strawberry.ID(row.id))
