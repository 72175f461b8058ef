"""What running devices say over MQTT: the config they have applied, and whether they are there."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from db.events.record import record
from db.mqtt import speakers as presence
from db.tables.devices import Device
from domain.access.caller import Caller, system
from domain.access.tokens import TokenKind
from domain.events.kinds import EventKind
from domain.mqtt.messages import StateReport
from resolvers.devices.reports import confirm_topics, note_applied, note_hardware
from resolvers.services import Desk


async def note_states(desk: Desk, reports: Mapping[str, StateReport]) -> Collection[str]:
    """By base topic. What is not a device's own topic, or older than what is known, is ignored.

    Returns the base topics of devices that somebody else changes now: try them again.
    """
    async with desk.database.begin(own=True) as session:
        reporting, busy = await presence.reporting(session, reports)
        for device, base in reporting:
            report = reports[base]
            if report.version < (device.applied_version or 0) or _old_news(device, report):
                continue
            caller = Caller(TokenKind.DEVICE, device_id=device.id)
            note_hardware(session, caller, device, None, report.firmware)
            note_applied(session, caller, device, report.version, report.error)
        settled = [d for d, base in reporting if _knows_its_topic(d, base, reports[base])]
        await confirm_topics(session, settled)
        return busy


async def note_statuses(desk: Desk, online: Mapping[str, bool]) -> Collection[str]:
    """By base topic; returns what `note_states` does."""
    now = datetime.now(UTC)
    async with desk.database.begin(own=True) as session:
        reporting, busy = await presence.reporting(session, online)
        for device, base in reporting:
            if device.online != online[base]:
                if online[base]:
                    _note_return(session, device)
                device.online, device.status_at = online[base], now
                if device.online:
                    device.last_seen_at = now
        return busy


async def note_absent(desk: Desk, present: Collection[str], after: str) -> tuple[int, str] | None:
    """Some of the devices that were online and of which nothing is heard any more; `present`: the
    others; `after`: the id up to which they were looked at.

    Returns how many there were and where to go on; None at the end.
    """
    async with desk.database.begin(own=True) as session:
        return await presence.set_offline_but(session, present, after)


def _old_news(device: Device, report: StateReport) -> bool:
    """What a broker had kept, and is known."""
    applied = report.error is not None or report.version == device.applied_version
    same = applied and report.error == device.applied_error
    return same and report.firmware in (None, device.firmware) and not report.fresh


def _knows_its_topic(device: Device, base: str, report: StateReport) -> bool:
    """What the broker had kept there may be from an earlier stay."""
    return base == device.topic and (report.fresh or report.version == device.config_version)


def _note_return(session: AsyncSession, device: Device) -> None:
    """Of a device that is about to count as online again."""
    if device.absence_noted:
        device.absence_noted = False
        facts = {"offlineSince": _moment(device.status_at)}
        record(session, EventKind.DEVICE_ONLINE, system("system"), device=device, before=facts)


def _moment(at: datetime | None) -> str | None:
    return at.isoformat(timespec="microseconds") if at else None
