"""The mutation `acknowledgeConfig`."""

import strawberry

from domain.devices.inputs import Acknowledgement
from resolvers.devices import acknowledge
from schema.common.user_errors import UserError, UserErrors, errors_field
from schema.common.values import values_of
from schema.context import RollcallInfo
from schema.devices.device import Device


@strawberry.input(description="What the calling device reports about its config.")
class AcknowledgeConfigInput:
    version: int = strawberry.field(description="The config version that was applied or refused.")
    error: str | None = strawberry.field(
        default=None,
        description="Why it could not be applied, up to 200 characters; null if it was applied.",
    )
    firmware: str | None = strawberry.field(
        default=None, description="The device's firmware version; if omitted, unchanged."
    )


@strawberry.type(description="The device after the report.")
class AcknowledgeConfigPayload:
    device: Device | None = strawberry.field(
        default=None, description="The calling device; null if there are errors."
    )
    errors: list[UserError] = errors_field()


@strawberry.mutation(
    description="Reports that the calling device applied a config version, or could not. Requires "
    "a device token.",
    extensions=[UserErrors(AcknowledgeConfigPayload)],
)
async def acknowledge_config(
    info: RollcallInfo,
    input: AcknowledgeConfigInput,
) -> AcknowledgeConfigPayload:
    report = Acknowledgement.check(values_of(input))
    context = info.context
    row = await acknowledge.acknowledge_config(
        context.services, context.caller, report, context.caller_device
    )
    return AcknowledgeConfigPayload(device=Device(row=row))
