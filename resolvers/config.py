"""A device's config: what it should do from now on."""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from db.events import config_facts, record
from db.tables import Device, PastConfig
from domain.access import Action, Caller
from domain.errors import ErrorCode, InputError
from domain.events import EventKind
from domain.inputs import ConfigChange
from resolvers.desk import Desk
from resolvers.existing import existing


async def update_config(desk: Desk, caller: Caller, id: str, change: ConfigChange) -> Device:
    """Values that are in force already change nothing, not even the version."""
    caller.require(Action.CHANGE_DEVICE)
    async with desk.database.begin() as session:
        device = await existing(session, caller, id, "deviceId")
        _check_version(device, change.expected_version)
        interval = (
            device.interval_seconds if change.interval_seconds is None else change.interval_seconds
        )
        qos = device.qos if change.qos is None else change.qos
        if (interval, qos) != (device.interval_seconds, device.qos):
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


def _check_version(device: Device, expected: int | None) -> None:
    if expected is not None and expected != device.config_version:
        raise InputError.at(
            "expectedVersion",
            f"The config is at version {device.config_version} by now: read it and decide again.",
            ErrorCode.CONFLICT,
        )
