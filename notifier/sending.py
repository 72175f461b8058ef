"""From notices to messages: in order for each recipient, at least once, and never a storm."""

import asyncio
import logging
import random
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from db import notices
from db.notices import Claimed
from notifier.channel import Channel, Failed, Gone, Later, Message, Refused
from notifier.texts import digest, single
from resolvers.desk import Desk
from resolvers.event_feed import with_subjects

log = logging.getLogger("rollcall.alerts")

# More than so many at once become one message, and the next comes a minute later.
SINGLE_UP_TO = 5
DIGEST_SECONDS = 60.0
POLL_SECONDS = 0.5
AT_ONCE = 8
STOP_SECONDS = 2.0
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 300.0


class Sending:
    """`channels` by their names. Several processes share the recipients."""

    def __init__(self, channels: Sequence[Channel]) -> None:
        self._channels: Mapping[str, Channel] = {channel.name: channel for channel in channels}

    def wake(self) -> None:
        """It looks by itself: what is written has to be handed out first."""

    async def run(self, desk: Desk) -> None:
        """Until it is cancelled. Raises Unavailable."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(AT_ONCE):
                tasks.create_task(self._work(desk), name=f"alerts {number}")

    async def _work(self, desk: Desk) -> None:
        while True:
            if not await _finished(self.send_next(desk)):
                await asyncio.sleep(POLL_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311

    async def send_next(self, desk: Desk) -> bool:
        """One message to somebody for whom something waits; whether there was anybody."""
        async with desk.database.begin(own=True) as session:
            claimed = await notices.claim(session, self._channels)
            if claimed is None:
                return False
            waiting = await notices.waiting(session, claimed.id, SINGLE_UP_TO)
            if waiting is None:
                await notices.release(session, claimed.id, 0)
                return True
            subjects = await with_subjects(session, waiting.first)
            some = [subjects[event.id] for event in waiting.first]
        many = waiting.total > SINGLE_UP_TO
        if many:
            numbers = (waiting.first_event, waiting.last_event)
            message = digest(waiting.counts, numbers, some, claimed.language)
            last = waiting.last
        else:
            message = single(some[0], claimed.language)
            last = waiting.first_notice
        await self._send(desk, claimed, message, last, many=many)
        return True

    async def _send(
        self, desk: Desk, claimed: Claimed, message: Message, last: int, *, many: bool
    ) -> None:
        channel = self._channels[claimed.channel]
        state, error, pause, attempts = "sent", None, channel.pause(claimed.address), 0
        gone = False
        try:
            await channel.send(claimed.address, message)
            pause = DIGEST_SECONDS if many else pause
        except Refused as refused:
            state, error = "dead", str(refused)
        except Gone as no_more:
            state, error, gone = "dead", str(no_more), True
        except Failed as failed:
            state, error, attempts = "waiting", str(failed), claimed.attempts + 1
            pause = failed.seconds if isinstance(failed, Later) else _pause(claimed.attempts)
        if error:
            log.warning("No alert to %s %s: %s", claimed.channel, claimed.address, error)
        async with desk.database.begin(own=True) as session:
            if state == "waiting":
                await notices.note_failure(session, claimed.id, last, error or "")
            else:
                await notices.settle(session, claimed.id, last, state, error)
            if gone:
                await notices.switch_off(session, claimed.id, error or "")
            await notices.release(session, claimed.id, pause, attempts)


async def _finished(sending: Coroutine[Any, Any, bool]) -> bool:
    """A message that is on its way at the stop gets a moment to be noted: else it is sent again."""
    task = asyncio.ensure_future(sending)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=STOP_SECONDS)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise


def _pause(attempts: int) -> float:
    """Seconds, doubling with each failure in a row."""
    capped = min(FIRST_PAUSE_SECONDS * 2.0 ** min(attempts, 16), LONGEST_PAUSE_SECONDS)
    return capped * random.uniform(0.5, 1.0)  # noqa: S311
