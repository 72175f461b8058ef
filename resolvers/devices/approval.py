"""Approval and rejection of pending devices, and rotation of device tokens."""

from sqlalchemy.ext.asyncio import AsyncSession

from db.access import tokens
from db.events import browse as event_pages
from db.events.record import record_event
from db.tables.devices import AnyDevice, DeviceRow
from domain.access.caller import Caller
from domain.access.permissions import Action
from domain.devices.enrolment import DeviceState
from domain.errors import ErrorCode, InputError
from domain.events.kinds import EventKind
from resolvers.devices.lookup import get_device_for_update
from resolvers.services import Services

# Events that ask an administrator for approval.
REQUESTS = (EventKind.DEVICE_REGISTERED, EventKind.ENROLMENT_REQUESTED)


async def request_of(services: Services, device: AnyDevice) -> int | None:
    """Return the id of the event by which a pending device asked for approval."""
    if not device.awaits_approval:
        return None
    async with services.database.transaction() as session:
        return await event_pages.newest(session, device.id, REQUESTS)


async def approve_device(
    services: Services, caller: Caller, id: str, request: int | None = None
) -> DeviceRow:
    """Make a pending token valid, or allow a rejected device to register again.

    `request`: event id of the request that was decided on. Raises InputError if it is outdated.
    """
    caller.require(Action.CHANGE_DEVICE)
    async with services.database.transaction() as session:
        device = await get_device_for_update(session, caller, id)
        await _check_request(session, device, request)
        if not (device.awaits_approval or _refused(device)):
            raise InputError.at("id", "This device is not pending approval.", ErrorCode.CONFLICT)
        _end_pending(session, caller, device, EventKind.DEVICE_APPROVED, DeviceState.ACTIVE)
        device.reenrolment_refused = False
        if waiting := await tokens.unused_of(session, device.id, waiting=True):
            await tokens.delete_unused(session, device, waiting=False)
            waiting.waiting = False
        return device


async def reject_device(
    services: Services, caller: Caller, id: str, request: int | None = None
) -> DeviceRow:
    """Reject a new device. A known device keeps its current token and gets no other one.

    `request`: as for `approve_device`.
    """
    caller.require(Action.CHANGE_DEVICE)
    async with services.database.transaction() as session:
        device = await get_device_for_update(session, caller, id)
        await _check_request(session, device, request)
        if not device.awaits_approval:
            raise InputError.at("id", "This device is not pending approval.", ErrorCode.CONFLICT)
        new = device.state == DeviceState.PENDING
        _end_pending(
            session,
            caller,
            device,
            EventKind.DEVICE_REJECTED,
            DeviceState.REJECTED if new else DeviceState.ACTIVE,
        )
        device.reenrolment_refused = not new
        await tokens.delete_unused(session, device, waiting=True)
        return device


async def rotate_device_token(
    services: Services,
    caller: Caller,
    id: str,
    *,
    revoke_old: bool,
) -> tuple[DeviceRow, str]:
    """Issue a new token. The old one stays valid until the new one is used, or is revoked now."""
    caller.require(Action.ROTATE_TOKEN)
    async with services.database.transaction() as session:
        device = await get_device_for_update(session, caller, id)
        if device.state != DeviceState.ACTIVE:
            raise InputError.at(
                "id", "This device is not active: approve it first.", ErrorCode.CONFLICT
            )
        await tokens.delete_unused(session, device, waiting=False)
        if revoke_old:
            await tokens.revoke_all(session, device)
        secret = tokens.issue_for_device(session, device, None, caller.actor, waiting=False)
        record_event(
            session,
            EventKind.TOKEN_RENEWED,
            caller,
            device=device,
            after={"oldRevoked": revoke_old},
        )
        return device, secret


async def _check_request(session: AsyncSession, device: DeviceRow, request: int | None) -> None:
    if request is None:
        return
    if (
        not device.awaits_approval
        or await event_pages.newest(session, device.id, REQUESTS) != request
    ):
        raise InputError.at(
            "id", "This request is outdated: look at the device again.", ErrorCode.CONFLICT
        )


def _refused(device: DeviceRow) -> bool:
    return device.reenrolment_refused or device.state == DeviceState.REJECTED


def _end_pending(
    session: AsyncSession, caller: Caller, device: DeviceRow, kind: EventKind, state: DeviceState
) -> None:
    before = {"state": str(device.state), "awaitsApproval": device.awaits_approval}
    device.state, device.awaits_approval = state, False
    device.access_revision += 1
    after = {"state": str(state), "awaitsApproval": False}
    record_event(session, kind, caller, device=device, before=before, after=after)
