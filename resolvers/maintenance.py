"""Steps of periodic tasks.

They record overdue configs and offline devices, write last-seen times, and delete old rows.
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
# Seconds. A device with a very short interval needs time to reconnect before a config is overdue.
MIN_OVERDUE_SECONDS = 10
LAST_SEEN_BATCH_SIZE = 100
# Of sent and failed deliveries; their events have their own retention.
DELIVERY_RETENTION = timedelta(days=30)
# Longer than a chat can be muted.
PENDING_DELIVERY_RETENTION = timedelta(days=60)


async def mark_overdue(services: Services, intervals: float) -> int:
    """Record, once for each version, configs not applied within `intervals` sending intervals.

    Returns their number; if it is `mark_late.BATCH_SIZE`, there may be more.
    """
    async with services.database.transaction(background=True) as session:
        now = datetime.now(UTC)
        return await mark_late.mark_overdue(session, CALLER, now, intervals, MIN_OVERDUE_SECONDS)


async def mark_offline(services: Services, seconds: int) -> int:
    """Record, once for each absence, devices that have been offline for `seconds`.

    Devices that were never online are left out. Returns their number; if it is
    `mark_late.BATCH_SIZE`, there may be more.
    """
    since = datetime.now(UTC) - timedelta(seconds=seconds)
    async with services.database.transaction(background=True) as session:
        return await mark_late.mark_offline(session, CALLER, since)


async def write_last_seen(services: Services) -> int:
    """Write a batch of buffered last-seen times; return its size. Raises Unavailable."""
    seen = services.last_seen.pop(LAST_SEEN_BATCH_SIZE)
    if seen:
        async with services.database.transaction(background=True) as session:
            await last_seen.write(session, seen)
    return len(seen)


async def delete_old_events(services: Services, ages: Mapping[EventKind, timedelta]) -> int:
    """Delete a batch of events of each kind that are older than its age in `ages`.

    Events that recipients still have to get are left out. Returns the largest number for one kind;
    if it is `retention.BATCH_SIZE`, there may be more.
    """
    now, largest = datetime.now(UTC), 0
    for kind, age in ages.items():
        async with services.database.transaction(background=True) as session:
            largest = max(largest, await retention.delete_old_events(session, kind, now - age))
    return largest


async def delete_old_deliveries(services: Services) -> int:
    """Delete a batch of old deliveries, and replace old pending ones by a count for a digest.

    Returns the larger number of both; if it is `retention.BATCH_SIZE`, there may be more.
    """
    now = datetime.now(UTC)
    async with services.database.transaction(background=True) as session:
        deleted = await retention.delete_old_deliveries(session, now - DELIVERY_RETENTION)
    async with services.database.transaction(background=True) as session:
        folded = await missed_alerts.fold(
            session, now - PENDING_DELIVERY_RETENTION, retention.BATCH_SIZE
        )
    if folded:
        log.warning(
            "%d alerts are pending for 60 days: the next digest only counts them, without details.",
            folded,
        )
    return max(deleted, folded)
