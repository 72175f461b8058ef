"""Starts config versions in ordinary transactions: moves, links, replacements."""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from db.events.record import record_event
from db.tables.devices import DeviceRow, PastConfigRow
from domain.access.caller import Caller
from domain.devices.facts import config_facts
from domain.events.kinds import EventKind


def start_new_version(
    session: AsyncSession,
    caller: Caller,
    device: DeviceRow,
    *,
    interval_seconds: int | None = None,
    qos: int | None = None,
    listen: list[str] | None = None,
) -> None:
    """Start a config version with these values, and move the current one to the history."""
    before = config_facts(device)
    session.add(
        PastConfigRow(
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
    record_event(
        session, EventKind.CONFIG_CHANGED, caller, device=device, before=before, after=after
    )
