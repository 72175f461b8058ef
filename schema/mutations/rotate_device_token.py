import strawberry

from resolvers.devices.approval import rotate_device_token
from schema.common.user_errors import UserError, UserErrors, errors_field
from schema.context import RollcallInfo
from schema.devices.device import Device


@strawberry.input(description="Which device gets a new token.")
class RotateDeviceTokenInput:
    id: strawberry.ID = strawberry.field(description="The device.")
    revoke_old: bool = strawberry.field(
        default=False, description="Revoke the old token at once, for one that has leaked."
    )


@strawberry.type(description="The new token.")
class RotateDeviceTokenPayload:
    device: Device | None = strawberry.field(default=None, description="Null if there are errors.")
    token: str | None = strawberry.field(default=None, description="The new token, shown once.")
    errors: list[UserError] = errors_field()


@strawberry.mutation(
    description="Gives a device a new token; the device may ask for itself. The old one works "
    "until the new one is used for the first time.",
    extensions=[UserErrors(RotateDeviceTokenPayload)],
)
async def rotate(info: RollcallInfo, input: RotateDeviceTokenInput) -> RotateDeviceTokenPayload:
    row, secret = await rotate_device_token(
        info.context.desk, info.context.caller, input.id, revoke_old=input.revoke_old
    )
    return RotateDeviceTokenPayload(device=Device(row=row), token=secret)
