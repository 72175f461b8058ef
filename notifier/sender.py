"""From deliveries to messages: in order for each recipient, at least once, and never a storm."""

import asyncio
import logging
import random
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from concurrency.tasks import TaskPool, end_all, run_together
from db.alerts import deliveries, recipients
from db.alerts import missed as missed_alerts
from db.alerts.deliveries import Waiting
from db.tables.alerts import RecipientRow
from domain.alerts.recipients import Role
from domain.errors import Unavailable
from notifier.channels.channel import (
    Channel,
    Doubtful,
    Failed,
    Gone,
    Later,
    Message,
    Moved,
    NoTopic,
    Refused,
    Unwelcome,
)
from notifier.messages.texts import digest, in_short, single
from resolvers.feed.entries import load_entries
from resolvers.services import Services

log = logging.getLogger("rollcall.alerts")

# More than so many at once become one message, and the next comes a minute later.
SINGLE_UP_TO = 5
DIGEST_SECONDS = 60.0
POLL_SECONDS = 1.0
AT_ONCE = 8
STOP_SECONDS = 2.0
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 300.0
# How often a recipient that takes nothing at present is tried, if it does not come back by itself.
PROBE_SECONDS = 3600.0
# Failures in a row after which alerts are counted for a recipient that takes nothing, and after
# which a shorter message is tried where the message itself may be at fault.
AWAY_AFTER, SHORT_AFTER = 8, 3


class Sender:
    """`channels` by their names. Several processes share the recipients."""

    def __init__(self, channels: Sequence[Channel]) -> None:
        self._channels: Mapping[str, Channel] = {channel.name: channel for channel in channels}
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Something was handed out."""
        self._woken.set()
        self._woken = asyncio.Event()

    async def run(self, services: Services) -> None:
        """Until it is cancelled. Raises Unavailable."""
        await run_together(*(self._serve(services, channel) for channel in self._channels.values()))

    async def _serve(self, services: Services, channel: Channel) -> None:
        pool = TaskPool()
        await pool.run(self._claim(services, channel, pool))

    async def _claim(self, services: Services, channel: Channel, pool: TaskPool) -> None:
        """One that hangs takes nothing from the others."""
        places = asyncio.Semaphore(AT_ONCE)
        while True:
            await places.acquire()
            woken = self._woken
            async with services.database.transaction(background=True) as session:
                claimed = await deliveries.claim(session, channel.name)
            if claimed:
                telling = pool.start(_finished(self._tell_safely(services, claimed)))
                telling.add_done_callback(lambda _: places.release())
                continue
            places.release()
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await woken.wait()

    async def _tell_safely(self, services: Services, recipient: RecipientRow) -> None:
        """What goes wrong with one recipient is no other's business."""
        try:
            await self._tell(services, recipient)
        except Unavailable:
            raise
        except Exception as error:
            log.exception("Recipient %d can't be told.", recipient.id)
            attempts, pause = recipient.attempts + 1, _pause(recipient.attempts)
            async with services.database.transaction(background=True) as session:
                await deliveries.release(session, recipient.id, pause, attempts, repr(error))

    async def _tell(self, services: Services, recipient: RecipientRow) -> None:
        """One message to somebody for whom something waits."""
        async with services.database.transaction(background=True) as session:
            if later := _quiet_until(recipient, await deliveries.now(session)):
                await deliveries.wait_until(session, recipient.id, later)
                return
            waiting = await deliveries.waiting(session, recipient.id, SINGLE_UP_TO)
            if waiting is None:
                await deliveries.release(session, recipient.id, 0)
                return
            subjects = await load_entries(session, waiting.first)
            some = [subjects[event.id].of_its_owner() for event in waiting.first]
        if waiting.missed or waiting.total > SINGLE_UP_TO:
            numbers = (waiting.first_event, waiting.last_event)
            message = digest(
                waiting.counts, numbers, some, recipient.language, missed_since=waiting.since
            )
            await self._send(services, recipient, message, waiting, many=True)
        else:
            message = single(some[0], recipient.language, decides=recipient.role == Role.ADMIN)
            await self._send(services, recipient, message, waiting, many=False)

    async def _send(
        self,
        services: Services,
        recipient: RecipientRow,
        message: Message,
        waiting: Waiting,
        *,
        many: bool,
    ) -> None:
        channel = self._channels[recipient.channel]
        became = await _sent(channel, recipient, message, many=many)
        if became.may_be_the_message(recipient, many=many):
            await asyncio.sleep(channel.pause(recipient.target))
            became = await self._send_in_short(channel, recipient, waiting, became, many=many)
        if became.error:
            log.warning("No alert to %s %d: %s", recipient.channel, recipient.id, became.error)
        id, first = recipient.id, waiting.first_delivery
        async with services.database.transaction(background=True) as session:
            await deliveries.release(session, id, became.pause, became.attempts, became.error)
            if became.state == "waiting":
                if first is not None:
                    await deliveries.note_failure(session, id, first, became.error or "")
            else:
                last = waiting.last if many else first
                if last is not None:
                    await deliveries.settle(session, id, last, became.state, became.error)
                await missed_alerts.take(session, waiting.missed)
            await _note_where(session, recipient, became)

    async def _send_in_short(
        self,
        channel: Channel,
        recipient: RecipientRow,
        waiting: Waiting,
        full: "Outcome",
        *,
        many: bool,
    ) -> "Outcome":
        """The same without what people and devices wrote: if that is taken, the message was at
        fault, and not the recipient.
        """
        if many:
            counts, numbers = waiting.counts, (waiting.first_event, waiting.last_event)
        else:
            counts, numbers = {waiting.first[0].kind: 1}, (waiting.first_event,) * 2
        short = in_short(counts, numbers, recipient.language)
        became = await _sent(channel, recipient, short, many=many)
        if became.state == "sent":
            return replace(became, error=f"sent in short: {full.error}")
        return full


@dataclass(frozen=True, slots=True)
class Outcome:
    """`pause`: seconds until the next message. `attempts`: failures in a row. `why`: what was
    raised, if it was not sent.
    """

    state: str
    pause: float
    error: str | None = None
    attempts: int = 0
    why: Exception | None = None

    @property
    def off(self) -> bool:
        """The recipient takes nothing at present."""
        if isinstance(self.why, (Unwelcome, Doubtful)):
            return self.attempts >= AWAY_AFTER
        return isinstance(self.why, Gone)

    def may_be_the_message(self, recipient: RecipientRow, *, many: bool) -> bool:
        """A single message that is refused for good is put aside; a digest stands for many."""
        if isinstance(self.why, Doubtful):
            return recipient.attempts >= SHORT_AFTER
        return many and isinstance(self.why, Refused)


async def _sent(
    channel: Channel, recipient: RecipientRow, message: Message, *, many: bool
) -> Outcome:
    usual = channel.pause(recipient.target)
    attempts = recipient.attempts + 1
    try:
        await channel.send(recipient.target, message)
    except Refused as refused:
        return Outcome("dead", usual, str(refused), why=refused)
    except Gone as no_more:
        return Outcome("waiting", PROBE_SECONDS, str(no_more), attempts, no_more)
    except Moved as elsewhere:
        return Outcome("waiting", 0, str(elsewhere), why=elsewhere)
    except Failed as failed:
        pause = failed.seconds if isinstance(failed, Later) else _pause(recipient.attempts)
        return Outcome("waiting", pause, str(failed), attempts, failed)
    return Outcome("sent", DIGEST_SECONDS if many else usual)


async def _note_where(session: AsyncSession, recipient: RecipientRow, became: Outcome) -> None:
    """Whether something can be sent to the recipient, and at which address."""
    if isinstance(became.why, Moved):
        to = became.why.address.removesuffix(f":{recipient.topic}")
        await recipients.redirect(session, recipient.channel, recipient.address, to)
    elif isinstance(became.why, NoTopic) and recipient.topic is not None:
        await recipients.forget_topic(session, recipient.id)
    elif became.off:
        await deliveries.disable(session, recipient.id, became.error or "")
    elif became.why is None and recipient.off_reason is not None:
        await deliveries.enable(session, recipient.id)


async def _finished(telling: Coroutine[Any, Any, None]) -> None:
    """A message that is on its way at the stop gets a moment to be noted: else it is sent again."""
    task = asyncio.ensure_future(telling)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=STOP_SECONDS)
        await end_all([task])
        raise


def _pause(attempts: int) -> float:
    """Seconds, doubling with each failure in a row."""
    capped = min(FIRST_PAUSE_SECONDS * 2.0 ** min(attempts, 16), LONGEST_PAUSE_SECONDS)
    return capped * random.uniform(0.5, 1.0)  # noqa: S311


def _quiet_until(recipient: RecipientRow, now: datetime) -> datetime | None:
    hours = recipient.quiet_hours
    return hours.end_after(now) if hours else None
