"""Configs changed, and acknowledged."""

import strawberry

from domain.devices.inputs import Acknowledgement, ConfigChange
from resolvers.devices import config, reports
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
async def update_config(info: RollcallInfo, input: UpdateConfigInput) -> UpdateConfigPayload:
    change = ConfigChange.check(values_of(input))
    row = await config.update_config(
        info.context.services, info.context.caller, input.device_id, change
    )
    return UpdateConfigPayload(config=Config.of(row.config), device=Device(row=row))


@strawberry.input(description="What the calling device has done with its config.")
class AcknowledgeConfigInput:
    version: int = strawberry.field(description="The config version this is about.")
    error: str | None = strawberry.field(
        default=None, description="Why it could not be applied, up to 200 characters; null: it was."
    )
    firmware: str | None = strawberry.field(
        default=None, description="The device's firmware version."
    )


@strawberry.type(description="The device as we know it now.")
class AcknowledgeConfigPayload:
    device: Device | None = strawberry.field(
        default=None, description="The calling device; null if there are errors."
    )
    errors: list[UserError] = errors_field()


@strawberry.mutation(
    description="With a device's own token: it has applied (or refused) a config version.",
    extensions=[UserErrors(AcknowledgeConfigPayload)],
)
async def acknowledge_config(
    info: RollcallInfo,
    input: AcknowledgeConfigInput,
) -> AcknowledgeConfigPayload:
    report = Acknowledgement.check(values_of(input))
    context = info.context
    row = await reports.acknowledge_config(context.services, context.caller, report, context.own)
    return AcknowledgeConfigPayload(device=Device(row=row))
