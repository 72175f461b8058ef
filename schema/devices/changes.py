"""Mutations that change, replace and delete devices."""

import strawberry

from domain.devices.inputs import DeviceChange
from resolvers.devices import delete, replace, update
from schema.common.user_errors import UserError, UserErrors, errors_field
from schema.common.values import values_of
from schema.context import RollcallInfo
from schema.devices.device import Device
from schema.devices.register import LocationInput


@strawberry.input(description="Fields that are omitted or null stay unchanged.")
class UpdateDeviceInput:
    id: strawberry.ID = strawberry.field(description="The device's id.")
    owner: str | None = strawberry.field(default=None, description="The new owner.")
    location: LocationInput | None = strawberry.field(
        default=None,
        description="The new location. If it has no coordinates, the stored ones are removed.",
    )
    measurement_type: str | None = strawberry.field(
        default=None, description="The new measurement type."
    )
    sensor_model: str | None = strawberry.field(default=None, description="The sensor model.")
    firmware: str | None = strawberry.field(default=None, description="The firmware version.")


@strawberry.type(description="The device after the change.")
class UpdateDevicePayload:
    device: Device | None = strawberry.field(default=None, description="Null if there are errors.")
    errors: list[UserError] = errors_field()


@strawberry.mutation(
    description="Changes a device's properties. A new owner, place or measurement type changes its "
    "topics and creates a new config version.",
    extensions=[UserErrors(UpdateDevicePayload)],
)
async def update_device(info: RollcallInfo, input: UpdateDeviceInput) -> UpdateDevicePayload:
    change = DeviceChange.check(values_of(input))
    row = await update.update_device(info.context.services, info.context.caller, input.id, change)
    return UpdateDevicePayload(device=Device(row=row))


@strawberry.input(description="The old and the new device.")
class ReplaceDeviceInput:
    id: strawberry.ID = strawberry.field(description="The old device's id.")
    by_id: strawberry.ID = strawberry.field(
        description="The new device's id. The new device must be registered already; its owner and "
        "location do not matter."
    )


@strawberry.type(description="The new device after the replacement.")
class ReplaceDevicePayload:
    device: Device | None = strawberry.field(default=None, description="Null if there are errors.")
    errors: list[UserError] = errors_field()


@strawberry.mutation(
    description="Replaces a device by new hardware. The new device takes over the owner, location, "
    "measurement type, config and links of the old one, and the links of other devices to it by "
    "its id. The old device and its tokens are deleted. Links that the new device had "
    "before are removed.",
    extensions=[UserErrors(ReplaceDevicePayload)],
)
async def replace_device(info: RollcallInfo, input: ReplaceDeviceInput) -> ReplaceDevicePayload:
    row = await replace.replace_device(
        info.context.services, info.context.caller, input.id, input.by_id
    )
    return ReplaceDevicePayload(device=Device(row=row))


@strawberry.input(description="The device to delete.")
class DeleteDeviceInput:
    id: strawberry.ID = strawberry.field(description="The device's id.")


@strawberry.type(description="The deleted device.")
class DeleteDevicePayload:
    id: strawberry.ID | None = strawberry.field(
        default=None, description="The deleted device's id; null if there are errors."
    )
    errors: list[UserError] = errors_field()


@strawberry.mutation(
    description="Deletes a device and its tokens. Its events stay in the audit log.",
    extensions=[UserErrors(DeleteDevicePayload)],
)
async def delete_device(info: RollcallInfo, input: DeleteDeviceInput) -> DeleteDevicePayload:
    row = await delete.delete_device(info.context.services, info.context.caller, input.id)
    return DeleteDevicePayload(id=strawberry.ID(row.id))
