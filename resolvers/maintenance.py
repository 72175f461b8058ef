"""What servers do again and again beside the requests: they look for devices that are late or gone,
write when devices were heard from, and forget what is old.
"""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from db.alerts import missed as missed_alerts
from db.events import retention
from db.writes import last_seen as sightings
from db.writes import mark_late as missed
from domain.access.caller import system
from domain.events.kinds import EventKind
from resolvers.services import Desk

log = logging.getLogger("rollcall.alerts")

CALLER = system("system")
# A device that measures each second may take a moment to reconnect.
LEAST_SECONDS = 10
SIGHTINGS_AT_ONCE = 100
# Of what was told, or given up; the events themselves stay.
NOTICES_KEPT = timedelta(days=30)
# Longer than anybody can mute.
WAITING_KEPT = timedelta(days=60)


async def note_overdue(desk: Desk, intervals: float) -> int:
    """Records, once for each version, that a config is not in force so many intervals after it was
    made. Returns how many were found; call it again where that is `missed.AT_ONCE`.
    """
    async with desk.database.begin(own=True) as session:
        now = datetime.now(UTC)
        return await missed.note_overdue(session, CALLER, now, intervals, LEAST_SECONDS)


async def note_absences(desk: Desk, seconds: int) -> int:
    """Records, once for each absence, that a device has been offline for so long. One that was
    never online is not missed. Returns how many were found; call it again where that is
    `missed.AT_ONCE`.
    """
    since = datetime.now(UTC) - timedelta(seconds=seconds)
    async with desk.database.begin(own=True) as session:
        return await missed.note_absent(session, CALLER, since)


async def write_sightings(desk: Desk) -> int:
    """Some of those that wait; how many. Raises Unavailable."""
    seen = desk.sightings.take(SIGHTINGS_AT_ONCE)
    if seen:
        async with desk.database.begin(own=True) as session:
            await sightings.write(session, seen)
    return len(seen)


async def forget_events(desk: Desk, ages: Mapping[EventKind, timedelta]) -> int:
    """Some of those that are older than that for their kind, and that nobody has still to be told
    of. Returns how many of the most frequent kind; call it again where that is `retention.AT_ONCE`.
    """
    now, most = datetime.now(UTC), 0
    for kind, age in ages.items():
        async with desk.database.begin(own=True) as session:
            most = max(most, await retention.forget_events(session, kind, now - age))
    return most


async def forget_notices(desk: Desk) -> int:
    """As `forget_events`; what waits for longer than that is counted, and told in a digest."""
    now = datetime.now(UTC)
    async with desk.database.begin(own=True) as session:
        told = await retention.forget_notices(session, now - NOTICES_KEPT)
    async with desk.database.begin(own=True) as session:
        untold = await missed_alerts.fold(session, now - WAITING_KEPT, retention.AT_ONCE)
    if untold:
        log.warning(
            "%d alerts have waited for two months: a digest will count them, without details.",
            untold,
        )
    return max(told, untold)
