"""A device's config: what it should do from now on."""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from db.events.record import record
from db.tables.devices import Device, PastConfig
from domain.access.caller import Action, Caller
from domain.devices.config_change import decide_config_change
from domain.devices.device import DeviceView
from domain.devices.facts import config_facts
from domain.devices.inputs import ConfigChange
from domain.events.kinds import EventKind
from resolvers.devices.lookup import no_such_device, visible
from resolvers.retry import until_written
from resolvers.services import Desk


async def update_config(desk: Desk, caller: Caller, id: str, wanted: ConfigChange) -> DeviceView:
    """Values that are in force already change nothing, not even the version."""
    caller.require(Action.CHANGE_DEVICE)

    async def attempt(session: AsyncSession | None) -> DeviceView | None:
        device = await visible(desk, caller, id)
        if device is None:
            raise no_such_device("deviceId")
        decided = decide_config_change(device, wanted, caller.actor, datetime.now(UTC))
        if decided is None:
            return device
        write, changed = decided
        return changed if await desk.writes.change_config(write, session) else None

    return await until_written(desk, id.lower(), attempt)


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
