"""The mutation `updateConfig`."""

import strawberry

from domain.devices.inputs import ConfigChange
from resolvers.devices import config
from schema.common.user_errors import UserError, UserErrors, errors_field
from schema.common.values import values_of
from schema.context import RollcallInfo
from schema.devices.config import Config
from schema.devices.device import Device


@strawberry.input(description="Fields that are omitted or null stay unchanged.")
class UpdateConfigInput:
    device_id: strawberry.ID = strawberry.field(description="The device's id.")
    interval_seconds: int | None = strawberry.field(
        default=None, description="Seconds between two measurements, 1 to 604800 (7 days)."
    )
    qos: int | None = strawberry.field(default=None, description="MQTT quality of service, 0 to 2.")
    expected_version: int | None = strawberry.field(
        default=None,
        description="The config version that the change is based on. If the config is at another "
        "version, nothing is changed and the error is CONFLICT.",
    )


@strawberry.type(description="The config after the change.")
class UpdateConfigPayload:
    config: Config | None = strawberry.field(
        default=None, description="The desired config; null if there are errors."
    )
    device: Device | None = strawberry.field(
        default=None, description="The device; null if there are errors."
    )
    errors: list[UserError] = errors_field()


@strawberry.mutation(
    description="Changes the desired config of a device. The device gets it by MQTT, or at its "
    "next boot; `inSync` is true once the device has applied it.",
    extensions=[UserErrors(UpdateConfigPayload)],
)
async def update_config(info: RollcallInfo, input: UpdateConfigInput) -> UpdateConfigPayload:
    change = ConfigChange.check(values_of(input))
    row = await config.update_config(
        info.context.services, info.context.caller, input.device_id, change
    )
    return UpdateConfigPayload(config=Config.of(row.config), device=Device(row=row))
