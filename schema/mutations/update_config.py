import strawberry

from domain.devices.inputs import ConfigChange
from resolvers.devices.config import update_config
from schema.common.user_errors import UserError, UserErrors, errors_field
from schema.common.values import values_of
from schema.context import RollcallInfo
from schema.devices.config import Config
from schema.devices.device import Device


@strawberry.input(description="What is left out, or null, stays as it is.")
class UpdateConfigInput:
    device_id: strawberry.ID = strawberry.field(description="The device.")
    interval_seconds: int | None = strawberry.field(
        default=None, description="Seconds between two measurements, 1 to 604800 (7 days)."
    )
    qos: int | None = strawberry.field(default=None, description="MQTT quality of service, 0 to 2.")
    expected_version: int | None = strawberry.field(
        default=None,
        description="The version that the change is made from: if the config is at another one "
        "by now, nothing is changed and the error is CONFLICT.",
    )


@strawberry.type(description="The config as it is now.")
class UpdateConfigPayload:
    config: Config | None = strawberry.field(
        default=None, description="The desired config; null if there are errors."
    )
    device: Device | None = strawberry.field(
        default=None, description="Its device; null if there are errors."
    )
    errors: list[UserError] = errors_field()


@strawberry.mutation(
    description="Changes what a device should do. The device takes it at its next boot at the "
    "latest; `inSync` says when it has.",
    extensions=[UserErrors(UpdateConfigPayload)],
)
async def update(info: RollcallInfo, input: UpdateConfigInput) -> UpdateConfigPayload:
    change = ConfigChange.check(values_of(input))
    row = await update_config(info.context.desk, info.context.caller, input.device_id, change)
    return UpdateConfigPayload(config=Config.of(row.config), device=Device(row=row))
