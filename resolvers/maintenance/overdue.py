"""Configs that devices have not applied in time."""

from datetime import UTC, datetime

from db.writes import mark_late as missed
from domain.access.caller import system
from resolvers.services import Desk

# A device that measures each second may take a moment to reconnect.
LEAST_SECONDS = 10
CALLER = system("system")


async def note_overdue(desk: Desk, intervals: float) -> int:
    """Records, once for each version, that a config is not in force so many intervals after it was
    made. Returns how many were found; call it again where that is `missed.AT_ONCE`.
    """
    async with desk.database.begin(own=True) as session:
        now = datetime.now(UTC)
        return await missed.note_overdue(session, CALLER, now, intervals, LEAST_SECONDS)
