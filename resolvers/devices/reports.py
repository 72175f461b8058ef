"""What a device tells about itself: the config it has applied, its hardware and firmware."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from db.devices import queries as devices
from db.devices.search import words_of
from db.events.record import record
from db.mqtt import former_topics as topics
from db.tables.devices import AnyDevice, Device
from db.writes.record_report import Applied
from domain.access.caller import Action, Caller
from domain.access.tokens import TokenKind
from domain.devices.device import DeviceView
from domain.devices.facts import changes
from domain.devices.inputs import Acknowledgement
from domain.errors import InputError
from domain.events.kinds import EventKind
from resolvers.services import Desk


async def acknowledge_config(
    desk: Desk, caller: Caller, report: Acknowledgement, own: DeviceView | None = None
) -> AnyDevice:
    """The calling device has applied a config version, or could not (`error`). `own`: the device,
    if it was just read.
    """
    caller.require(Action.ACKNOWLEDGE)
    assert caller.device_id is not None  # noqa: S101
    own = own or await desk.reader.device(caller.device_id)
    if own and report.firmware in (None, own.firmware):
        noted = await note_with_others(desk, caller, own, report.version, report.error)
        if noted:
            return noted
    return await _acknowledge_alone(desk, caller, caller.device_id, report)


async def note_with_others(
    desk: Desk, caller: Caller, device: DeviceView, version: int, error: str | None = None
) -> DeviceView | None:
    """As `note_applied`, and committed; None where this is not the way for it."""
    facts = _applied_facts(device, version, error)
    if facts is None:
        return None
    before, after = facts
    now = datetime.now(UTC)
    applied = after["appliedVersion"]
    taken = await desk.revisions.apply(
        Applied(
            device.id,
            device.config_version,
            device.applied_version,
            device.applied_error,
            applied,
            error,
            now,
            caller.actor,
            before,
            after,
        )
    )
    if taken is None:
        return None
    at = now if error is None else device.applied_at
    return device.changed(
        applied_version=applied, applied_error=error, applied_at=at, last_seen_at=now
    )


async def _acknowledge_alone(
    desk: Desk, caller: Caller, id: str, report: Acknowledgement
) -> Device:
    async with desk.database.begin() as session:
        device = await devices.find_for_update(session, caller.scope, id)
        if device is None:
            raise InputError.at(None, "This device has been deleted.")
        if report.version > device.config_version:
            raise InputError.at(
                "version",
                f"There is no version {report.version} yet: {device.config_version} is the newest.",
            )
        note_hardware(session, caller, device, None, report.firmware)
        note_applied(session, caller, device, report.version, report.error)
        if device.in_sync:
            await confirm_topics(session, [device])
        return device


def note_applied(
    session: AsyncSession, caller: Caller, device: Device, version: int, error: str | None = None
) -> None:
    """A version that is newer than any there is, or the same as before, changes nothing."""
    facts = _applied_facts(device, version, error)
    if facts is None:
        return
    if error is None:
        device.applied_version = version
        device.applied_at = datetime.now(UTC)
    device.applied_error = error
    before, after = facts
    record(session, EventKind.CONFIG_APPLIED, caller, device=device, before=before, after=after)


def _applied_facts(
    device: AnyDevice, version: int, error: str | None
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """What the log says, before and after; None where nothing changes."""
    old = device.applied_version
    if version > device.config_version or (version, error) == (old, device.applied_error):
        return None
    new = version if error is None else old
    before = {"appliedVersion": old, "error": device.applied_error}
    return before, {"appliedVersion": new, "error": error, "version": version}


async def confirm_topics(session: AsyncSession, devices: Collection[Device]) -> None:
    """The devices know their present topics: their moves are done."""
    left = await topics.settle(session, [device.id for device in devices])
    for device in devices:
        if device.id in left:
            caller = Caller(TokenKind.DEVICE, device_id=device.id)
            before, after = {"topics": left[device.id]}, {"topic": device.topic}
            record(
                session, EventKind.DEVICE_MOVED, caller, device=device, before=before, after=after
            )


def note_hardware(
    session: AsyncSession,
    caller: Caller,
    device: Device,
    sensor_model: str | None,
    firmware: str | None,
) -> None:
    """Only what the hardware itself knows; the rest stays as an administrator may have set it."""
    now = datetime.now(UTC)
    device.last_seen_at = now
    stored = {"sensorModel": device.sensor_model, "firmware": device.firmware}
    told = {"sensorModel": sensor_model, "firmware": firmware}
    before, after = changes(stored, {key: new for key, new in told.items() if new is not None})
    if not after:
        return
    device.sensor_model = after.get("sensorModel", device.sensor_model)
    device.firmware = after.get("firmware", device.firmware)
    device.updated_at = now
    device.search = words_of(device)
    record(session, EventKind.DEVICE_UPDATED, caller, device=device, before=before, after=after)
