"""From notices to messages: in order for each recipient, at least once, and never a storm."""

import asyncio
import logging
import random
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
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
POLL_SECONDS = 1.0
AT_ONCE = 8
STOP_SECONDS = 2.0
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 300.0


class Sending:
    """`channels` by their names. Several processes share the recipients."""

    def __init__(self, channels: Sequence[Channel]) -> None:
        self._channels: Mapping[str, Channel] = {channel.name: channel for channel in channels}
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Something was handed out."""
        self._woken.set()

    async def run(self, desk: Desk) -> None:
        """Until it is cancelled. Raises Unavailable."""
        places = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as tasks:
            while True:
                await places.acquire()
                self._woken.clear()
                async with desk.database.begin(own=True) as session:
                    claimed = await notices.claim(session, self._channels)
                if claimed:
                    telling = tasks.create_task(_finished(self._tell(desk, claimed)))
                    telling.add_done_callback(lambda _: places.release())
                    continue
                places.release()
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._woken.wait()

    async def _tell(self, desk: Desk, claimed: Claimed) -> None:
        """One message to somebody for whom something waits."""
        async with desk.database.begin(own=True) as session:
            waiting = await notices.waiting(session, claimed.id, SINGLE_UP_TO)
            if waiting is None:
                await notices.release(session, claimed.id, 0)
                return
            subjects = await with_subjects(session, waiting.first)
            some = [subjects[event.id] for event in waiting.first]
        if waiting.total > SINGLE_UP_TO:
            numbers = (waiting.first_event, waiting.last_event)
            message = digest(waiting.counts, numbers, some, claimed.language)
            await self._send(desk, claimed, message, waiting.last, many=True)
        else:
            message = single(some[0], claimed.language)
            await self._send(desk, claimed, message, waiting.first_notice, many=False)

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


async def _finished(telling: Coroutine[Any, Any, None]) -> None:
    """A message that is on its way at the stop gets a moment to be noted: else it is sent again."""
    task = asyncio.ensure_future(telling)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=STOP_SECONDS)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise


def _pause(attempts: int) -> float:
    """Seconds, doubling with each failure in a row."""
    capped = min(FIRST_PAUSE_SECONDS * 2.0 ** min(attempts, 16), LONGEST_PAUSE_SECONDS)
    return capped * random.uniform(0.5, 1.0)  # noqa: S311
