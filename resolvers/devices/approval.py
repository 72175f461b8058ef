"""Approval and rejection of pending devices, and rotation of device tokens."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from db.access import tokens
from db.devices import requests
from db.events.record import record_event, request_facts
from db.tables.devices import DeviceRow
from db.tables.requests import EnrolmentRequestRow
from domain.access.caller import Caller
from domain.access.permissions import Action
from domain.devices.enrolment import DeviceState
from domain.errors import ErrorCode, InputError
from domain.events.kinds import EventKind
from resolvers.devices.lookup import get_device_for_update
from resolvers.devices.requests import named_request, only_request, visible_requests
from resolvers.services import Services


async def approve_device(
    services: Services, caller: Caller, id: str, request: str | None = None
) -> DeviceRow:
    """Make a pending token valid, or allow a rejected device to register again.

    `request`: the id of the request; may be None if there is at most one. The other requests are
    deleted. Raises InputError if the request is not open, or None is given and there are several.
    """
    caller.require(Action.CHANGE_DEVICE)
    async with services.database.transaction() as session:
        device = await get_device_for_update(session, caller, id)
        visible = await visible_requests(session, caller, device)
        chosen = only_request(visible) if request is None else named_request(visible, request)
        if not (chosen or device.awaits_approval or _refused(caller, device)):
            raise _not_pending()
        before = _access_facts(device)
        device.state, device.awaits_approval = DeviceState.ACTIVE, False
        device.reenrolment_refused = False
        if caller.owner_id is None and (chosen is None or chosen.foreign_owner):
            device.foreign_refused = False
        _record_decision(session, caller, EventKind.DEVICE_APPROVED, device, before, request=chosen)
        if chosen:
            await tokens.delete_unused(session, device)
            await requests.grant(session, device, chosen)
        device.access_revision += 1
        return device


async def reject_device(
    services: Services, caller: Caller, id: str, request: str | None = None
) -> DeviceRow:
    """Reject a new device. A known device keeps its current token and gets no other one.

    `request`: the id of the only request to reject. The device is rejected with the last one.
    Raises InputError if the request is not open.
    """
    caller.require(Action.CHANGE_DEVICE)
    async with services.database.transaction() as session:
        device = await get_device_for_update(session, caller, id)
        visible = await visible_requests(session, caller, device)
        chosen = visible if request is None else [named_request(visible, request)]
        if not (chosen or device.awaits_approval):
            raise _not_pending()
        before = _access_facts(device)
        left = [each for each in visible if each not in chosen]
        _refuse(device, chosen, left)
        decided: Sequence[EnrolmentRequestRow | None] = chosen or [None]
        for each in decided:
            _record_decision(
                session, caller, EventKind.DEVICE_REJECTED, device, before, request=each
            )
        await requests.remove(session, chosen)
        device.access_revision += 1
        return device


def _refuse(
    device: DeviceRow, chosen: Sequence[EnrolmentRequestRow], left: Sequence[EnrolmentRequestRow]
) -> None:
    """Reject the device with the last request of its owner's keys, or other keys with their last.

    So a foreign request can't be the reason why keys of the device's owner are refused.
    """
    rejected, open = ({each.foreign_owner for each in some} for some in (chosen, left))
    if True in rejected - open:
        device.foreign_refused = True
    if False in rejected - open or not chosen:
        new = device.state == DeviceState.PENDING
        if new:
            device.state = DeviceState.REJECTED
        device.reenrolment_refused = not new
        device.awaits_approval = False


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
        await tokens.delete_unused(session, device)
        if revoke_old:
            await tokens.revoke_all(session, device)
        secret = tokens.issue_for_device(session, device, caller.actor)
        record_event(
            session,
            EventKind.TOKEN_RENEWED,
            caller,
            device=device,
            after={"oldRevoked": revoke_old},
        )
        return device, secret


def _refused(caller: Caller, device: DeviceRow) -> bool:
    foreign_refused = caller.owner_id is None and device.foreign_refused
    return device.reenrolment_refused or foreign_refused or device.state == DeviceState.REJECTED


def _not_pending() -> InputError:
    return InputError.at("id", "This device is not pending approval.", ErrorCode.CONFLICT)


def _access_facts(device: DeviceRow) -> dict[str, Any]:
    return {"state": str(device.state), "awaitsApproval": device.awaits_approval}


def _record_decision(
    session: AsyncSession,
    caller: Caller,
    kind: EventKind,
    device: DeviceRow,
    before: dict[str, Any],
    *,
    request: EnrolmentRequestRow | None,
) -> None:
    """`before`: the facts of the device before the decision."""
    record_event(
        session,
        kind,
        caller,
        device=device,
        foreign=request is not None and request.foreign_owner,
        before=before,
        after={**_access_facts(device), **(request_facts(request) if request else {})},
    )
