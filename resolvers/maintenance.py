"""What servers do again and again beside the requests: they look for devices that are late or gone,
write when devices were heard from, and forget what is old.
"""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from db.alerts import missed as missed_alerts
from db.events import retention
from db.writes import last_seen, mark_late
from domain.access.caller import system
from domain.events.kinds import EventKind
from resolvers.services import Services

log = logging.getLogger("rollcall.alerts")

CALLER = system("system")
# A device that measures each second may take a moment to reconnect.
LEAST_SECONDS = 10
SIGHTINGS_AT_ONCE = 100
# Of what was told, or given up; the events themselves stay.
DELIVERIES_KEPT = timedelta(days=30)
# Longer than anybody can mute.
WAITING_KEPT = timedelta(days=60)


async def mark_overdue(services: Services, intervals: float) -> int:
    """Records, once for each version, that a config is not in force so many intervals after it was
    made. Returns how many were found; call it again where that is `mark_late.AT_ONCE`.
    """
    async with services.database.transaction(background=True) as session:
        now = datetime.now(UTC)
        return await mark_late.mark_overdue(session, CALLER, now, intervals, LEAST_SECONDS)


async def mark_offline(services: Services, seconds: int) -> int:
    """Records, once for each absence, that a device has been offline for so long. One that was
    never online is not missed. Returns how many were found; call it again where that is
    `mark_late.AT_ONCE`.
    """
    since = datetime.now(UTC) - timedelta(seconds=seconds)
    async with services.database.transaction(background=True) as session:
        return await mark_late.mark_offline(session, CALLER, since)


async def write_last_seen(services: Services) -> int:
    """Some of those that wait; how many. Raises Unavailable."""
    seen = services.last_seen.take(SIGHTINGS_AT_ONCE)
    if seen:
        async with services.database.transaction(background=True) as session:
            await last_seen.write(session, seen)
    return len(seen)


async def delete_old_events(services: Services, ages: Mapping[EventKind, timedelta]) -> int:
    """Some of those that are older than that for their kind, and that nobody has still to be told
    of. Returns how many of the most frequent kind; call it again where that is `retention.AT_ONCE`.
    """
    now, most = datetime.now(UTC), 0
    for kind, age in ages.items():
        async with services.database.transaction(background=True) as session:
            most = max(most, await retention.delete_old_events(session, kind, now - age))
    return most


async def delete_old_deliveries(services: Services) -> int:
    """As `delete_old_events`; what waits for longer than that is counted, and told in a digest."""
    now = datetime.now(UTC)
    async with services.database.transaction(background=True) as session:
        told = await retention.delete_old_deliveries(session, now - DELIVERIES_KEPT)
    async with services.database.transaction(background=True) as session:
        untold = await missed_alerts.fold(session, now - WAITING_KEPT, retention.AT_ONCE)
    if untold:
        log.warning(
            "%d alerts have waited for two months: a digest will count them, without details.",
            untold,
        )
    return max(told, untold)
