"""Changes of a device's desired config."""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from db.events.record import record_event
from db.tables.devices import DeviceRow, PastConfigRow
from domain.access.caller import Action, Caller
from domain.devices.config_change import decide_config_change
from domain.devices.device import DeviceRecord
from domain.devices.facts import config_facts
from domain.devices.inputs import ConfigChange
from domain.events.kinds import EventKind
from resolvers.devices.lookup import get_device, no_such_device
from resolvers.retry import until_written
from resolvers.services import Services


async def update_config(
    services: Services, caller: Caller, id: str, wanted: ConfigChange
) -> DeviceRecord:
    """Change a config. If the values are the same already, nothing is written, no new version."""
    caller.require(Action.CHANGE_DEVICE)

    async def attempt(session: AsyncSession | None) -> DeviceRecord | None:
        device = await get_device(services, caller, id)
        if device is None:
            raise no_such_device("deviceId")
        decided = decide_config_change(device, wanted, caller.actor, datetime.now(UTC))
        if decided is None:
            return device
        write, changed = decided
        return changed if await services.writes.change_config(write, session) else None

    return await until_written(services, id.lower(), attempt)


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
