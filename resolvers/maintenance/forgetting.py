"""What is forgotten by age."""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from db.alerts import missed as missed_alerts
from db.events import retention
from domain.events.kinds import EventKind
from resolvers.services import Desk

log = logging.getLogger("rollcall.alerts")

# Of what was told, or given up; the events themselves stay.
NOTICES_KEPT = timedelta(days=30)
# Longer than anybody can mute.
WAITING_KEPT = timedelta(days=60)


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
