"""What running devices say over MQTT: the config they have applied, and whether they are there."""

import asyncio
from collections.abc import Awaitable, Collection, Mapping
from datetime import UTC, datetime

from db.mqtt import speakers
from db.reads.reads import Speaker
from domain.access.caller import Caller, system
from domain.access.tokens import TokenKind
from domain.devices.changes import RecordPresence, RecordReport
from domain.devices.reports import Report, decide_report, says_something_new
from domain.mqtt.messages import StateReport
from resolvers.services import Services

SYSTEM = system("system")


async def record_states(services: Services, reports: Mapping[str, StateReport]) -> Collection[str]:
    """By base topic. What is not a device's own topic, or older than what is known, is ignored.

    Returns the base topics of devices that another transaction has locked: try them again.
    Raises Unavailable and Overloaded.
    """
    now = datetime.now(UTC)
    writes: dict[str, Awaitable[bool]] = {}
    for speaker in await services.reads.speakers(reports):
        report = reports[speaker.base]
        known = _is_known(speaker, report)
        write = _write(speaker, report, now, known=known)
        if says_something_new(write) or (write.arrived and speaker.moving):
            writes[speaker.base] = services.writes.record_report(write)
        elif not known:
            services.last_seen.note(speaker.device.id, speaker.device.last_seen_at)
    return await _conflicts(writes)


async def record_presence(services: Services, online: Mapping[str, bool]) -> Collection[str]:
    """By base topic; returns and raises what `record_states` does."""
    now = datetime.now(UTC)
    writes = {
        base: services.writes.record_presence(
            RecordPresence(device.id, online[base], now, SYSTEM.actor)
        )
        for base, _, device in await services.reads.speakers(online)
        if device.online != online[base]
    }
    return await _conflicts(writes)


async def mark_silent_offline(
    services: Services, present: Collection[str], after: str
) -> tuple[int, str] | None:
    """Some of the devices that were online and of which nothing is heard any more; `present`: the
    others; `after`: the id up to which they were looked at.

    Returns how many there were and where to go on; None at the end.
    """
    async with services.database.transaction(background=True) as session:
        return await speakers.mark_silent_offline(session, present, after)


async def _conflicts(writes: Mapping[str, Awaitable[bool]]) -> Collection[str]:
    written = await asyncio.gather(*writes.values())
    return [base for base, done in zip(writes, written, strict=True) if not done]


def _write(speaker: Speaker, report: StateReport, at: datetime, *, known: bool) -> RecordReport:
    """`known`: there is nothing in it but that the device is there."""
    base, _, device = speaker
    said = Report() if known else Report(report.version, report.error, firmware=report.firmware)
    # What the broker had kept there may be from an earlier stay.
    current = report.fresh or report.version == device.config_version
    arrived = base == device.topic and current
    actor = Caller(TokenKind.DEVICE, device_id=device.id).actor
    return decide_report(device, said, actor, at, arrived=arrived)[0]


def _is_known(speaker: Speaker, report: StateReport) -> bool:
    """Whether it is older than what is known, or was retained and says the same."""
    device = speaker.device
    if report.version < (device.applied_version or 0):
        return True
    applied = report.error is not None or report.version == device.applied_version
    same = applied and report.error == device.applied_error
    return same and report.firmware in (None, device.firmware) and not report.fresh
