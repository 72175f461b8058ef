"""What time alone makes due, looked for again and again."""

import asyncio
from collections.abc import Awaitable, Callable

from db.events.retention import AT_ONCE as FORGOTTEN
from db.writes.mark_late import AT_ONCE as MISSED
from resolvers.maintenance import SIGHTINGS_AT_ONCE as SEEN
from resolvers.maintenance import (
    delete_old_deliveries,
    delete_old_events,
    mark_offline,
    mark_overdue,
    write_last_seen,
)
from resolvers.services import Services
from server.runtime.background import BackgroundTask
from server.settings import Settings

LOOK_SECONDS = 5.0
FORGET_SECONDS = 600.0
# A crowd that boots has better uses for the database.
SEEN_SECONDS = 0.5
# Between two of many steps, so that others get at the database.
STEP_SECONDS = 0.05


class PeriodicTask:
    """`step` deals with some of what is due, and says with how much. Where that is `most`, there
    may be more, `soon`; else it has time for so many `seconds`.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[Services], Awaitable[int]],
        most: int,
        seconds: float = LOOK_SECONDS,
        soon: float = STEP_SECONDS,
        *,
        needed: bool = True,
    ) -> None:
        self.name = name
        self.needed = needed
        self._step = step
        self._most = most
        self._seconds = seconds
        self._soon = soon

    def wake(self) -> None:
        """Events make nothing due."""

    async def run(self, services: Services) -> None:
        """Until it is cancelled. Raises Unavailable."""
        while True:
            full = await self._step(services) == self._most
            await asyncio.sleep(self._soon if full else self._seconds)


def periodic_tasks(settings: Settings) -> list[BackgroundTask]:
    """As far as the settings want them; 0 is never."""
    intervals, absent = settings.config_overdue_intervals, settings.offline_after_seconds
    ages = settings.keep_events.ages()
    rounds = [
        PeriodicTask(
            "alert retention", delete_old_deliveries, FORGOTTEN, FORGET_SECONDS, needed=False
        ),
        PeriodicTask("last seen", write_last_seen, SEEN, SEEN_SECONDS, SEEN_SECONDS),
    ]
    if intervals:
        rounds.append(
            PeriodicTask(
                "overdue configs", lambda services: mark_overdue(services, intervals), MISSED
            )
        )
    if absent:
        rounds.append(
            PeriodicTask("offline devices", lambda services: mark_offline(services, absent), MISSED)
        )
    if ages:
        rounds.append(
            PeriodicTask(
                "event retention",
                lambda services: delete_old_events(services, ages),
                FORGOTTEN,
                FORGET_SECONDS,
                needed=False,
            )
        )
    return [*rounds]
