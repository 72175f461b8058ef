"""Devices that are gone for long, and those that come back."""

from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from db.events.record import record
from db.tables.devices import Device
from db.writes import mark_late as missed
from domain.access.caller import system
from domain.events.kinds import EventKind
from resolvers.services import Desk

CALLER = system("system")


async def note_absences(desk: Desk, seconds: int) -> int:
    """Records, once for each absence, that a device has been offline for so long. One that was
    never online is not missed. Returns how many were found; call it again where that is
    `missed.AT_ONCE`.
    """
    since = datetime.now(UTC) - timedelta(seconds=seconds)
    async with desk.database.begin(own=True) as session:
        return await missed.note_absent(session, CALLER, since)


def note_return(session: AsyncSession, device: Device) -> None:
    """Of a device that is about to count as online again."""
    if device.absence_noted:
        device.absence_noted = False
        facts = {"offlineSince": _moment(device.status_at)}
        record(session, EventKind.DEVICE_ONLINE, CALLER, device=device, before=facts)


def _moment(at: datetime | None) -> str | None:
    return at.isoformat(timespec="microseconds") if at else None
