"""Sends deliveries as messages: in order per recipient, at least once, with a rate limit."""

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
from db.alerts.deliveries import PendingAlerts
from db.alerts.visibility import drop_hidden
from db.devices.requests import OpenEnrolment
from db.devices.requests import of_devices as requests_of_devices
from db.tables.alerts import RecipientRow
from domain.alerts.recipients import Role, recipient_caller
from domain.errors import Unavailable
from notifier.channels.channel import (
    Channel,
    Message,
    Moved,
    NoTopic,
    RecipientGone,
    Refused,
    RetryLater,
    TemporaryFailure,
    UnclearRefusal,
    WriteForbidden,
)
from notifier.messages.texts import digest, single, summary
from resolvers.feed.entries import load_entries
from resolvers.services import Services

log = logging.getLogger("rollcall.alerts")

# More pending alerts than this become one digest. The next message comes a minute later.
MAX_SINGLE = 5
DIGEST_SECONDS = 60.0
POLL_SECONDS = 1.0
MAX_PARALLEL = 8
STOP_SECONDS = 2.0
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 300.0
# Seconds between two attempts for a recipient that is unavailable.
PROBE_SECONDS = 3600.0
# Failures in a row after which a recipient is disabled and its alerts are only counted.
DISABLE_AFTER = 8
# Failures in a row after which a message that may be the cause is replaced by a summary.
SUMMARY_AFTER = 3


class Sender:
    """Sends by all channels. Several processes share the recipients by leases."""

    def __init__(self, channels: Sequence[Channel]) -> None:
        self._channels: Mapping[str, Channel] = {channel.name: channel for channel in channels}
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Call when there are new deliveries."""
        self._woken.set()
        self._woken = asyncio.Event()

    async def run(self, services: Services) -> None:
        """Run until cancelled. Raises Unavailable if the database is unavailable."""
        await run_together(*(self._serve(services, channel) for channel in self._channels.values()))

    async def _serve(self, services: Services, channel: Channel) -> None:
        pool = TaskPool()
        await pool.run(self._claim(services, channel, pool))

    async def _claim(self, services: Services, channel: Channel, pool: TaskPool) -> None:
        """Claim recipients and deliver to them in parallel, so that a slow one delays no other."""
        slots = asyncio.Semaphore(MAX_PARALLEL)
        while True:
            await slots.acquire()
            woken = self._woken
            async with services.database.transaction(background=True) as session:
                claimed = await deliveries.claim(session, channel.name)
            if claimed:
                task = pool.start(run_to_completion(self._deliver_safely(services, claimed)))
                task.add_done_callback(lambda _: slots.release())
                continue
            slots.release()
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await woken.wait()

    async def _deliver_safely(self, services: Services, recipient: RecipientRow) -> None:
        """Deliver. An unexpected error is logged, and affects no other recipient."""
        try:
            await self._deliver(services, recipient)
        except Unavailable:
            raise
        except Exception as error:
            log.exception("Delivering to recipient %d failed; it is retried.", recipient.id)
            attempts, pause = recipient.attempts + 1, _pause(recipient.attempts)
            async with services.database.transaction(background=True) as session:
                await deliveries.release(session, recipient.id, pause, attempts, repr(error))

    async def _deliver(self, services: Services, recipient: RecipientRow) -> None:
        """Send one message about the pending deliveries of a recipient."""
        async with services.database.transaction(background=True) as session:
            if later := _quiet_until(recipient, await deliveries.now(session)):
                await deliveries.postpone(session, recipient.id, later)
                return
            await drop_hidden(session, recipient.id)
            pending = await deliveries.read_pending(session, recipient.id, MAX_SINGLE)
            if pending is None:
                await deliveries.release(session, recipient.id, 0)
                return
            entries = await load_entries(session, pending.first)
            caller = recipient_caller(recipient.role, recipient.owner_id)
            first_entries = [
                entries[event.id].without_foreign_device().visible_to(caller)
                for event in pending.first
            ]
            requests = await _requests(session, recipient, pending)
        if pending.missed or pending.total > MAX_SINGLE:
            numbers = (pending.first_event, pending.last_event)
            message = digest(
                pending.counts,
                numbers,
                first_entries,
                recipient.language,
                missed_since=pending.since,
            )
            await self._send(services, recipient, message, pending, is_digest=True)
        else:
            message = single(first_entries[0], recipient.language, requests)
            await self._send(services, recipient, message, pending, is_digest=False)

    async def _send(
        self,
        services: Services,
        recipient: RecipientRow,
        message: Message,
        pending: PendingAlerts,
        *,
        is_digest: bool,
    ) -> None:
        channel = self._channels[recipient.channel]
        outcome = await _attempt(channel, recipient, message, is_digest=is_digest)
        if outcome.needs_summary(recipient, is_digest=is_digest):
            await asyncio.sleep(channel.pause(recipient.target))
            outcome = await self._send_summary(
                channel, recipient, pending, outcome, is_digest=is_digest
            )
        if outcome.error:
            log.warning(
                "Sending an alert to %s recipient %d: %s",
                recipient.channel,
                recipient.id,
                outcome.error,
            )
        id, first = recipient.id, pending.first_delivery
        async with services.database.transaction(background=True) as session:
            await deliveries.release(session, id, outcome.pause, outcome.attempts, outcome.error)
            if outcome.state == "waiting":
                if first is not None:
                    await deliveries.record_failure(session, id, first, outcome.error or "")
            else:
                last = pending.last if is_digest else first
                if last is not None:
                    await deliveries.settle(session, id, last, outcome.state, outcome.error)
                await missed_alerts.subtract_sent(session, pending.missed)
            await _update_recipient(session, recipient, outcome)

    async def _send_summary(
        self,
        channel: Channel,
        recipient: RecipientRow,
        pending: PendingAlerts,
        failure: "Outcome",
        *,
        is_digest: bool,
    ) -> "Outcome":
        """Send it without text from people and devices. If that is accepted, the message was the
        cause of the failure, not the recipient.
        """
        if is_digest:
            counts, numbers = pending.counts, (pending.first_event, pending.last_event)
        else:
            counts, numbers = {pending.first[0].kind: 1}, (pending.first_event,) * 2
        short = summary(counts, numbers, recipient.language)
        outcome = await _attempt(channel, recipient, short, is_digest=is_digest)
        if outcome.state == "sent":
            return replace(outcome, error=f"sent as a summary: {failure.error}")
        return failure


@dataclass(frozen=True, slots=True)
class Outcome:
    """`pause`: seconds until the next message. `attempts`: failures in a row. `exception`: why it
    was not sent.
    """

    state: str
    pause: float
    error: str | None = None
    attempts: int = 0
    exception: Exception | None = None

    @property
    def disables(self) -> bool:
        """Whether to disable the recipient: it accepts no messages at present."""
        if isinstance(self.exception, (WriteForbidden, UnclearRefusal)):
            return self.attempts >= DISABLE_AFTER
        return isinstance(self.exception, RecipientGone)

    def needs_summary(self, recipient: RecipientRow, *, is_digest: bool) -> bool:
        """Whether to try a summary. A single message that is refused for good is dead instead."""
        if isinstance(self.exception, UnclearRefusal):
            return recipient.attempts >= SUMMARY_AFTER
        return is_digest and isinstance(self.exception, Refused)


async def _attempt(
    channel: Channel, recipient: RecipientRow, message: Message, *, is_digest: bool
) -> Outcome:
    pause = channel.pause(recipient.target)
    attempts = recipient.attempts + 1
    try:
        await channel.send(recipient.target, message)
    except Refused as refused:
        return Outcome("dead", pause, str(refused), exception=refused)
    except RecipientGone as gone:
        return Outcome("waiting", PROBE_SECONDS, str(gone), attempts, gone)
    except Moved as moved:
        return Outcome("waiting", 0, str(moved), exception=moved)
    except TemporaryFailure as failed:
        retry = failed.seconds if isinstance(failed, RetryLater) else _pause(recipient.attempts)
        return Outcome("waiting", retry, str(failed), attempts, failed)
    return Outcome("sent", DIGEST_SECONDS if is_digest else pause)


async def _update_recipient(
    session: AsyncSession, recipient: RecipientRow, outcome: Outcome
) -> None:
    """Record a new address, and enable or disable the recipient."""
    if isinstance(outcome.exception, Moved):
        to = outcome.exception.address.removesuffix(f":{recipient.topic}")
        await recipients.redirect(session, recipient.channel, recipient.address, to)
    elif isinstance(outcome.exception, NoTopic) and recipient.topic is not None:
        await recipients.clear_topic(session, recipient.id)
    elif outcome.disables:
        await deliveries.disable(session, recipient.id, outcome.error or "")
    elif outcome.exception is None and recipient.off_reason is not None:
        await deliveries.enable(session, recipient.id)


async def run_to_completion(delivery: Coroutine[Any, Any, None]) -> None:
    """On cancellation, give a message in progress time to be recorded: else it is sent twice."""
    task = asyncio.ensure_future(delivery)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=STOP_SECONDS)
        await end_all([task])
        raise


async def _requests(
    session: AsyncSession, recipient: RecipientRow, pending: PendingAlerts
) -> Sequence[OpenEnrolment]:
    """Return the open requests that the recipient may decide on, for the device of one event."""
    id = pending.first[0].device_id if pending.first else None
    if id is None or recipient.role != Role.ADMIN:
        return ()
    return (await requests_of_devices(session, recipient.owner_id, [id]))[id]


def _pause(attempts: int) -> float:
    """Seconds to wait. Doubles with each failure in a row."""
    capped = min(FIRST_PAUSE_SECONDS * 2.0 ** min(attempts, 16), LONGEST_PAUSE_SECONDS)
    return capped * random.uniform(0.5, 1.0)  # noqa: S311


def _quiet_until(recipient: RecipientRow, now: datetime) -> datetime | None:
    hours = recipient.quiet_hours
    return hours.end_after(now) if hours else None
