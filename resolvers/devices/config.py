"""A device's config: what it should do from now on."""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from db.events.record import config_facts, record
from db.tables.devices import AnyDevice, Device, PastConfig
from db.writes.change_config import Change
from domain.access.caller import Action, Caller
from domain.devices.device import DeviceView
from domain.devices.inputs import ConfigChange
from domain.errors import ErrorCode, InputError
from domain.events.kinds import EventKind
from resolvers.devices.lookup import existing, no_such_device, visible
from resolvers.services import Desk

# To change a device along with others that are changed; after that, it waits for its turn.
ATTEMPTS = 2


async def update_config(desk: Desk, caller: Caller, id: str, change: ConfigChange) -> AnyDevice:
    """Values that are in force already change nothing, not even the version."""
    caller.require(Action.CHANGE_DEVICE)
    for _ in range(ATTEMPTS):
        device = await visible(desk, caller, id)
        if device is None:
            raise no_such_device("deviceId")
        if not _changes(device, change):
            return device
        if changed := await _change_with_others(desk, caller, device, change):
            return changed
    return await _change_alone(desk, caller, id, change)


async def _change_with_others(
    desk: Desk, caller: Caller, device: DeviceView, change: ConfigChange
) -> DeviceView | None:
    """Committed; None where somebody else is changing the device, or has done so."""
    interval, qos = _values(device, change)
    changed = device.changed(
        interval_seconds=interval,
        qos=qos,
        config_version=device.config_version + 1,
        config_updated_at=datetime.now(UTC),
        config_updated_by=caller.actor,
    )
    version = await desk.revisions.change(
        Change(
            device.id,
            device.config_version,
            interval,
            qos,
            changed.config_updated_at,
            caller.actor,
            config_facts(device),
            config_facts(changed),
        )
    )
    return changed if version else None


async def _change_alone(desk: Desk, caller: Caller, id: str, change: ConfigChange) -> Device:
    """After whoever else is changing the device."""
    async with desk.database.begin() as session:
        device = await existing(session, caller, id, "deviceId")
        if _changes(device, change):
            interval, qos = _values(device, change)
            next_config(session, caller, device, interval_seconds=interval, qos=qos)
        return device


def next_config(
    session: AsyncSession,
    caller: Caller,
    device: Device,
    *,
    interval_seconds: int | None = None,
    qos: int | None = None,
    listen: list[str] | None = None,
) -> None:
    """Begins a new version, with these values, and keeps the present one as history."""
    before = config_facts(device)
    session.add(
        PastConfig(
            device_id=device.id,
            version=device.config_version,
            interval_seconds=device.interval_seconds,
            qos=device.qos,
            updated_at=device.config_updated_at,
            updated_by=device.config_updated_by,
        )
    )
    device.config_version += 1
    device.config_updated_at = datetime.now(UTC)
    device.config_updated_by = caller.actor
    if interval_seconds is not None:
        device.interval_seconds = interval_seconds
    if qos is not None:
        device.qos = qos
    if listen is not None:
        device.listen = listen
    after = config_facts(device)
    record(session, EventKind.CONFIG_CHANGED, caller, device=device, before=before, after=after)


def _changes(device: AnyDevice, change: ConfigChange) -> bool:
    """Raises InputError where the change was meant for another version."""
    expected = change.expected_version
    if expected is not None and expected != device.config_version:
        raise InputError.at(
            "expectedVersion",
            f"The config is at version {device.config_version} by now: read it and decide again.",
            ErrorCode.CONFLICT,
        )
    return _values(device, change) != (device.interval_seconds, device.qos)


def _values(device: AnyDevice, change: ConfigChange) -> tuple[int, int]:
    """The interval in seconds and the QoS that are to be; what the change leaves out stays."""
    interval, qos = change.interval_seconds, change.qos
    return (
        device.interval_seconds if interval is None else interval,
        device.qos if qos is None else qos,
    )
