"""Periodic tasks: work that becomes due by time alone."""

import asyncio
from collections.abc import Awaitable, Callable

from db.events.retention import BATCH_SIZE as RETENTION_BATCH
from db.writes.mark_late import BATCH_SIZE as LATE_BATCH
from resolvers.maintenance import LAST_SEEN_BATCH_SIZE as LAST_SEEN_BATCH
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

CHECK_SECONDS = 5.0
RETENTION_SECONDS = 600.0
# Seconds. Keeps last-seen writes off the database during mass boots.
LAST_SEEN_SECONDS = 0.5
# Seconds between two full batches, so that requests are not delayed.
BATCH_PAUSE_SECONDS = 0.05


class PeriodicTask:
    """`step` processes a batch of what is due, and returns its size.

    The next step follows after `full_pause` seconds if the batch was full (`batch_size`), because
    more may be due. Otherwise it follows after `pause` seconds.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[Services], Awaitable[int]],
        batch_size: int,
        pause: float = CHECK_SECONDS,
        full_pause: float = BATCH_PAUSE_SECONDS,
        *,
        needed: bool = True,
    ) -> None:
        self.name = name
        self.needed = needed
        self._step = step
        self._batch_size = batch_size
        self._pause = pause
        self._full_pause = full_pause

    def wake(self) -> None:
        """No-op: new events make nothing due."""

    async def run(self, services: Services) -> None:
        """Run until cancelled. Raises Unavailable if the database is lost."""
        while True:
            full = await self._step(services) == self._batch_size
            await asyncio.sleep(self._full_pause if full else self._pause)


def periodic_tasks(settings: Settings) -> list[BackgroundTask]:
    """Return the tasks that the settings enable; 0 disables a task."""
    intervals, offline_seconds = settings.config_overdue_intervals, settings.offline_after_seconds
    ages = settings.keep_events.ages()
    periodic = [
        PeriodicTask(
            "alert retention",
            delete_old_deliveries,
            RETENTION_BATCH,
            RETENTION_SECONDS,
            needed=False,
        ),
        PeriodicTask(
            "last seen", write_last_seen, LAST_SEEN_BATCH, LAST_SEEN_SECONDS, LAST_SEEN_SECONDS
        ),
    ]
    if intervals:
        periodic.append(
            PeriodicTask(
                "overdue configs", lambda services: mark_overdue(services, intervals), LATE_BATCH
            )
        )
    if offline_seconds:
        periodic.append(
            PeriodicTask(
                "offline devices",
                lambda services: mark_offline(services, offline_seconds),
                LATE_BATCH,
            )
        )
    if ages:
        periodic.append(
            PeriodicTask(
                "event retention",
                lambda services: delete_old_events(services, ages),
                RETENTION_BATCH,
                RETENTION_SECONDS,
                needed=False,
            )
        )
    return [*periodic]
