"""Creates deliveries from events: one for each recipient that chose the kind of event."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from db.alerts import deliveries
from db.events import log as event_log
from resolvers.services import Services

log = logging.getLogger("rollcall.alerts")

# Limits per transaction, to keep it short.
MAX_EVENTS, MAX_DELIVERIES = 500, 20_000
POLL_SECONDS = 1.0
GATHER_SECONDS = 0.05


class FanOut:
    """Handles each event exactly once. A transaction lock allows one process at a time."""

    def __init__(self, on_delivery: Callable[[], None]) -> None:
        """`on_delivery` is called when there are new deliveries."""
        self._on_delivery = on_delivery
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Call when events were written."""
        self._woken.set()

    async def run(self, services: Services) -> None:
        """Run until cancelled. Raises Unavailable if the database is unavailable."""
        while True:
            self._woken.clear()
            more, added = await enqueue_deliveries(services)
            if added:
                self._on_delivery()
            if more:
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._woken.wait()
                    # Gather events that are written at the same time.
                    await asyncio.sleep(GATHER_SECONDS)


async def enqueue_deliveries(services: Services) -> tuple[bool, bool]:
    """Create deliveries of the next events. Return (there may be more events, deliveries added).

    Events from before the first recipient are skipped.
    """
    async with services.database.transaction(background=True) as session:
        if not await deliveries.try_lock_fan_out(session):
            return False, False
        reached = await deliveries.position(session)
        if reached is None:
            await deliveries.set_position(session, await event_log.last_readable(session))
            return False, False
        recipients = await deliveries.count_recipients(session)
        if not recipients:
            end = await event_log.last_readable(session)
            if end != reached:
                await deliveries.set_position(session, end)
            return False, False
        limit = max(1, min(MAX_EVENTS, MAX_DELIVERIES // recipients))
        ids, end, more = await event_log.read_ids(session, reached, limit)
        added = await deliveries.enqueue(session, ids) if ids else 0
        if end != reached:
            await deliveries.set_position(session, end)
        return more, added > 0
