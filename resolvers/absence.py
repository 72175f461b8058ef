"""Devices that are gone for long, and those that come back."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from db.devices import WITH_NAMES
from db.events import record
from db.tables import Device
from domain.access import system
from domain.events import EventKind
from resolvers.desk import Desk

AT_ONCE = 500
CALLER = system("system")
# In the words of the index.
GONE = text("state = 'active' AND NOT online AND NOT absence_noted AND status_at IS NOT NULL")


async def note_absences(desk: Desk, seconds: int) -> int:
    """Records, once for each absence, that a device has been offline for so long. One that was
    never online is not missed. Returns how many were found; call it again where that is `AT_ONCE`.
    """
    since = datetime.now(UTC) - timedelta(seconds=seconds)
    gone = select(Device).where(GONE, Device.status_at < since).order_by(Device.status_at)
    async with desk.database.begin(own=True) as session:
        locked = gone.limit(AT_ONCE).options(*WITH_NAMES)
        found = await session.scalars(locked.with_for_update(of=Device, skip_locked=True))
        devices = found.all()
        for device in devices:
            device.absence_noted = True
            facts = {"offlineSince": _moment(device.status_at)}
            record(session, EventKind.DEVICE_OFFLINE, CALLER, device=device, after=facts)
        return len(devices)


def note_return(session: AsyncSession, device: Device) -> None:
    """Of a device that is about to count as online again."""
    if device.absence_noted:
        device.absence_noted = False
        facts = {"offlineSince": _moment(device.status_at)}
        record(session, EventKind.DEVICE_ONLINE, CALLER, device=device, before=facts)


def _moment(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
