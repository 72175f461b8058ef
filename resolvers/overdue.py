"""Configs that devices have not applied in time."""

from datetime import UTC, datetime

from sqlalchemy import func, select, text

from db.devices import WITH_NAMES
from db.events import record
from db.tables import Device
from domain.access import system
from domain.enrolment import DeviceState
from domain.events import EventKind
from resolvers.desk import Desk

AT_ONCE = 500
# A device that measures each second may take a moment to reconnect.
LEAST_SECONDS = 10
CALLER = system("system")


async def note_overdue(desk: Desk, intervals: float) -> int:
    """Records, once for each version, that a config is not in force so many intervals after it was
    made. Returns how many were found; call it again where that is `AT_ONCE`.
    """
    patience = func.greatest(Device.interval_seconds * intervals, LEAST_SECONDS)
    due = Device.config_updated_at + func.make_interval(0, 0, 0, 0, 0, 0, patience)
    late = (
        select(Device)
        .where(
            Device.state == DeviceState.ACTIVE,
            text("NOT synced AND overdue_version IS DISTINCT FROM config_version"),
            due < datetime.now(UTC),
        )
        .order_by(Device.config_updated_at)
        .limit(AT_ONCE)
    )
    async with desk.database.begin(own=True) as session:
        locked = late.options(*WITH_NAMES).with_for_update(of=Device, skip_locked=True)
        found = (await session.scalars(locked)).all()
        for device in found:
            device.overdue_version = device.config_version
            facts = {
                "version": device.config_version,
                "appliedVersion": device.applied_version,
                "error": device.applied_error,
                "online": device.online,
            }
            record(session, EventKind.CONFIG_OVERDUE, CALLER, device=device, after=facts)
        return len(found)
