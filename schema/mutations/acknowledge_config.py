import strawberry

from domain.devices.inputs import Acknowledgement
from resolvers.devices.reports import acknowledge_config
from schema.common.user_errors import UserError, UserErrors, errors_field
from schema.common.values import values_of
from schema.context import RollcallInfo
from schema.devices.device import Device


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
async def acknowledge(
    info: RollcallInfo,
    input: AcknowledgeConfigInput,
) -> AcknowledgeConfigPayload:
    report = Acknowledgement.check(values_of(input))
    context = info.context
    row = await acknowledge_config(context.desk, context.caller, report, context.own)
    return AcknowledgeConfigPayload(device=Device(row=row))
