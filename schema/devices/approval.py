"""Mutations that approve or reject devices and replace their tokens."""

import strawberry

from resolvers.devices import approval
from schema.common.user_errors import UserError, UserErrors, errors_field
from schema.context import RollcallInfo
from schema.devices.device import Device


@strawberry.input(description="The device to approve.")
class ApproveDeviceInput:
    id: strawberry.ID = strawberry.field(description="The device's id.")
    request: strawberry.ID | None = strawberry.field(
        default=None,
        description="The id of the request to approve (`Device.enrolmentRequests`). May be omitted "
        "if only one is open.",
    )


@strawberry.type(description="The device after the change.")
class ApproveDevicePayload:
    device: Device | None = strawberry.field(default=None, description="Null if there are errors.")
    errors: list[UserError] = errors_field()


@strawberry.mutation(
    description="Approves a request: its pending token becomes valid, and the other requests for "
    "the device are deleted. If a known device requested a new token, its old token stays valid "
    "until the new one is first used. Also allows a rejected device to register again.",
    extensions=[UserErrors(ApproveDevicePayload)],
)
async def approve_device(info: RollcallInfo, input: ApproveDeviceInput) -> ApproveDevicePayload:
    row = await approval.approve_device(
        info.context.services, info.context.caller, input.id, input.request
    )
    return ApproveDevicePayload(device=Device(row=row))


@strawberry.input(description="The device to reject.")
class RejectDeviceInput:
    id: strawberry.ID = strawberry.field(description="The device's id.")
    request: strawberry.ID | None = strawberry.field(
        default=None,
        description="The id of the request to reject; the others stay open. If omitted, all are "
        "rejected.",
    )


@strawberry.type(description="The device after the change.")
class RejectDevicePayload:
    device: Device | None = strawberry.field(default=None, description="Null if there are errors.")
    errors: list[UserError] = errors_field()


@strawberry.mutation(
    description="Rejects the requests for a device. After the last one, a new device is REJECTED; "
    "a known device keeps its present token, and a new one is refused unless the device is "
    "approved later.",
    extensions=[UserErrors(RejectDevicePayload)],
)
async def reject_device(info: RollcallInfo, input: RejectDeviceInput) -> RejectDevicePayload:
    row = await approval.reject_device(
        info.context.services, info.context.caller, input.id, input.request
    )
    return RejectDevicePayload(device=Device(row=row))


@strawberry.input(description="The device that gets a new token.")
class RotateDeviceTokenInput:
    id: strawberry.ID = strawberry.field(description="The device's id.")
    revoke_old: bool = strawberry.field(
        default=False,
        description="Whether to revoke the old token at once, for example if it has leaked.",
    )


@strawberry.type(description="The device and its new token.")
class RotateDeviceTokenPayload:
    device: Device | None = strawberry.field(default=None, description="Null if there are errors.")
    token: str | None = strawberry.field(
        default=None, description="The new token; shown only once."
    )
    errors: list[UserError] = errors_field()


@strawberry.mutation(
    description="Creates a new token for a device; a device may call this for itself. Unless "
    "`revokeOld` is true, the old token stays valid until the new one is first used.",
    extensions=[UserErrors(RotateDeviceTokenPayload)],
)
async def rotate_device_token(
    info: RollcallInfo, input: RotateDeviceTokenInput
) -> RotateDeviceTokenPayload:
    row, secret = await approval.rotate_device_token(
        info.context.services, info.context.caller, input.id, revoke_old=input.revoke_old
    )
    return RotateDeviceTokenPayload(device=Device(row=row), token=secret)
