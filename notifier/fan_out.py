"""From events to deliveries: one for each recipient that wants to know."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from db.alerts import deliveries
from db.events import log as event_log
from resolvers.services import Services

log = logging.getLogger("rollcall.alerts")

# Events at once, and deliveries that come of them: one transaction, which is to be a short one.
BATCH, MOST = 500, 20_000
POLL_SECONDS = 1.0
GATHER_SECONDS = 0.05


class FanOut:
    """One process at a time, by a lock of the transaction; each event exactly once."""

    def __init__(self, handed_out: Callable[[], None]) -> None:
        """`handed_out` is called when somebody is to be told something."""
        self._handed_out = handed_out
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Somebody has written events."""
        self._woken.set()

    async def run(self, services: Services) -> None:
        """Until it is cancelled. Raises Unavailable."""
        while True:
            self._woken.clear()
            more, handed_out = await enqueue_deliveries(services)
            if handed_out:
                self._handed_out()
            if more:
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._woken.wait()
                    # In a crowd of events, not for each of them.
                    await asyncio.sleep(GATHER_SECONDS)


async def enqueue_deliveries(services: Services) -> tuple[bool, bool]:
    """The next events; whether there may be more at once, and whether somebody is to be told.

    What happened before there was anybody to be told is passed over.
    """
    async with services.database.transaction(background=True) as session:
        if not await deliveries.try_lock_fan_out(session):
            return False, False
        reached = await deliveries.position(session)
        if reached is None:
            await deliveries.set_position(session, await event_log.last_readable(session))
            return False, False
        told = await deliveries.count_recipients(session)
        if not told:
            end = await event_log.last_readable(session)
            if end != reached:
                await deliveries.set_position(session, end)
            return False, False
        most = max(1, min(BATCH, MOST // told))
        ids, end, more = await event_log.read_ids(session, reached, most)
        added = await deliveries.enqueue(session, ids) if ids else 0
        if end != reached:
            await deliveries.set_position(session, end)
        return more, added > 0
