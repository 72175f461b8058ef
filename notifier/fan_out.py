"""From events to notices: one for each recipient that wants to know."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from db import event_log, notices, recipients
from db.alert_tables import Recipient
from db.tables import Event
from domain.alerts import USUAL
from resolvers.desk import Desk

log = logging.getLogger("rollcall.alerts")

BATCH = 500
POLL_SECONDS = 1.0


class FanOut:
    """One process at a time, by a lock of the transaction; each event exactly once."""

    def __init__(self, handed_out: Callable[[], None]) -> None:
        """`handed_out` is called when somebody is to be told something."""
        self._handed_out = handed_out
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Somebody has written events."""
        self._woken.set()

    async def run(self, desk: Desk) -> None:
        """Until it is cancelled. Raises Unavailable."""
        while True:
            self._woken.clear()
            more = await hand_out(desk)
            self._handed_out()
            if more:
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._woken.wait()


async def hand_out(desk: Desk) -> bool:
    """The next events; whether there may be more at once.

    What happened before there was anybody to be told is passed over.
    """
    async with desk.database.begin(own=True) as session:
        if not await notices.hold(session):
            return False
        reached = await notices.position(session)
        if reached is None:
            await notices.set_position(session, await event_log.settled(session))
            return False
        batch = await event_log.read(session, reached, BATCH)
        if batch.end != reached:
            people = await recipients.told(session)
            await notices.add(session, list(_wanted(batch.events, people)))
            await notices.set_position(session, batch.end)
        return batch.more


def _wanted(events: Sequence[Event], people: Sequence[Recipient]) -> Iterable[tuple[int, int]]:
    for event in events:
        for recipient in people:
            if _wants(recipient, event):
                yield recipient.id, event.id


def _wants(recipient: Recipient, event: Event) -> bool:
    """Nobody is told of what was done in that very chat."""
    kinds = USUAL if recipient.kinds is None else recipient.kinds
    chosen = recipient.owner_ids is None or event.owner_id in recipient.owner_ids
    own = event.actor.partition("/")[0] == f"{recipient.channel}:{recipient.address}"
    mine = recipient.owner_id in (None, event.owner_id)
    return event.kind in kinds and chosen and mine and not own
