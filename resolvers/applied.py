"""What a device tells about itself: the config it has applied, its hardware and firmware."""

from collections.abc import Collection
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from db import devices, topics
from db.events import changes, record
from db.search import words_of
from db.tables import Device
from domain.access import Action, Caller
from domain.errors import InputError
from domain.events import EventKind
from domain.inputs import Acknowledgement
from domain.tokens import TokenKind
from resolvers.desk import Desk


async def acknowledge_config(desk: Desk, caller: Caller, report: Acknowledgement) -> Device:
    """The calling device has applied a config version, or could not (`error`)."""
    caller.require(Action.ACKNOWLEDGE)
    assert caller.device_id is not None  # noqa: S101
    async with desk.database.begin() as session:
        device = await devices.find_for_update(session, caller.scope, caller.device_id)
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
    if version > device.config_version:
        return
    if (version, error) == (device.applied_version, device.applied_error):
        return
    before = {"appliedVersion": device.applied_version, "error": device.applied_error}
    if error is None:
        device.applied_version = version
        device.applied_at = datetime.now(UTC)
    device.applied_error = error
    after = {"appliedVersion": device.applied_version, "error": error, "version": version}
    record(session, EventKind.CONFIG_APPLIED, caller, device=device, before=before, after=after)


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
