"""What an administrator decides about devices and their tokens."""

import strawberry

from resolvers.devices import approval
from schema.common.user_errors import UserError, UserErrors, errors_field
from schema.context import RollcallInfo
from schema.devices.device import Device


@strawberry.input(description="Which device to let in.")
class ApproveDeviceInput:
    id: strawberry.ID = strawberry.field(description="The device.")


@strawberry.type(description="The device as it is now.")
class ApproveDevicePayload:
    device: Device | None = strawberry.field(default=None, description="Null if there are errors.")
    errors: list[UserError] = errors_field()


@strawberry.mutation(
    description="Lets a waiting device in: the token it waits with works from now on. Of a known "
    "device that got a new token, the old one works until the new one is used.",
    extensions=[UserErrors(ApproveDevicePayload)],
)
async def approve_device(info: RollcallInfo, input: ApproveDeviceInput) -> ApproveDevicePayload:
    row = await approval.approve_device(info.context.services, info.context.caller, input.id)
    return ApproveDevicePayload(device=Device(row=row))


@strawberry.input(description="Which device to keep out.")
class RejectDeviceInput:
    id: strawberry.ID = strawberry.field(description="The device.")


@strawberry.type(description="The device as it is now.")
class RejectDevicePayload:
    device: Device | None = strawberry.field(default=None, description="Null if there are errors.")
    errors: list[UserError] = errors_field()


@strawberry.mutation(
    description="Keeps a waiting device out. A known device keeps the token it has, and the new "
    "one is refused until the device is approved after all.",
    extensions=[UserErrors(RejectDevicePayload)],
)
async def reject_device(info: RollcallInfo, input: RejectDeviceInput) -> RejectDevicePayload:
    row = await approval.reject_device(info.context.services, info.context.caller, input.id)
    return RejectDevicePayload(device=Device(row=row))


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
async def rotate_device_token(
    info: RollcallInfo, input: RotateDeviceTokenInput
) -> RotateDeviceTokenPayload:
    row, secret = await approval.rotate_device_token(
        info.context.services, info.context.caller, input.id, revoke_old=input.revoke_old
    )
    return RotateDeviceTokenPayload(device=Device(row=row), token=secret)
