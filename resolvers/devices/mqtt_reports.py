"""Reports of devices by MQTT: the config version they have applied, and their presence."""

import asyncio
from collections.abc import Awaitable, Collection, Mapping
from datetime import UTC, datetime

from db.mqtt import offline
from db.reads.reads import TopicDevice
from domain.access.caller import Caller, system
from domain.access.tokens import TokenKind
from domain.devices.reports import Report, decide_report, has_changes
from domain.devices.writes import RecordPresence, RecordReport
from domain.mqtt.messages import StateReport
from resolvers.services import Services

SYSTEM = system("system")


async def record_states(services: Services, reports: Mapping[str, StateReport]) -> Collection[str]:
    """Write reports, by base topic. Topics of no device and outdated reports are ignored.

    Returns the base topics of devices that another transaction has locked: retry them.
    Raises Unavailable and Overloaded.
    """
    now = datetime.now(UTC)
    writes: dict[str, Awaitable[bool]] = {}
    for speaker in await services.reads.topic_devices(reports):
        report = reports[speaker.base]
        recorded = _is_recorded(speaker, report)
        write = _write(speaker, report, now, recorded=recorded)
        if has_changes(write) or (write.arrived and speaker.moving):
            writes[speaker.base] = services.writes.record_report(write)
        elif not recorded:
            services.last_seen.add(speaker.device.id, speaker.device.last_seen_at)
    return await _conflicts(writes)


async def record_presence(services: Services, online: Mapping[str, bool]) -> Collection[str]:
    """Write presence, by base topic. Returns and raises like `record_states`."""
    now = datetime.now(UTC)
    writes = {
        base: services.writes.record_presence(
            RecordPresence(device.id, online[base], now, SYSTEM.actor)
        )
        for base, _, device in await services.reads.topic_devices(online)
        if device.online != online[base]
    }
    return await _conflicts(writes)


async def mark_silent_offline(
    services: Services, present: Collection[str], after: str
) -> tuple[int, str] | None:
    """Mark a batch of devices offline that are recorded as online but not `present`.

    `present`: ids of devices with an online status at the broker. `after`: the id after which to
    continue. Returns the number of marked devices and the next `after`; None at the end.
    """
    async with services.database.transaction(background=True) as session:
        return await offline.mark_silent_offline(session, present, after)


async def _conflicts(writes: Mapping[str, Awaitable[bool]]) -> Collection[str]:
    written = await asyncio.gather(*writes.values())
    return [base for base, done in zip(writes, written, strict=True) if not done]


def _write(
    speaker: TopicDevice, report: StateReport, at: datetime, *, recorded: bool
) -> RecordReport:
    """`recorded`: the report has no new content; it only shows that the device is connected."""
    base, _, device = speaker
    new = Report() if recorded else Report(report.version, report.error, firmware=report.firmware)
    # A retained report may be from an earlier time on this topic.
    current = report.fresh or report.version == device.config_version
    arrived = base == device.topic and current
    actor = Caller(TokenKind.DEVICE, device_id=device.id).actor
    return decide_report(device, new, actor, at, arrived=arrived)[0]


def _is_recorded(speaker: TopicDevice, report: StateReport) -> bool:
    """Return whether the report is older than the recorded one, or retained and equal to it."""
    device = speaker.device
    if report.version < (device.applied_version or 0):
        return True
    applied = report.error is not None or report.version == device.applied_version
    same = applied and report.error == device.applied_error
    return same and report.firmware in (None, device.firmware) and not report.fresh
