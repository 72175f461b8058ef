"""Feeds: one reader of the event log for all subscribers of a process."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Collection,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import suppress
from itertools import chain
from typing import Generic

from sqlalchemy.ext.asyncio import AsyncSession

from concurrency.batcher import Batcher
from db.events import log as event_log
from db.events.log import Position
from db.postgres.database import Database
from db.tables.events import EventRow
from domain.errors import ErrorCode, InputError, SlowConsumer, Unavailable
from domain.events.kinds import EventKind
from resolvers.feed.subscriber import Item, Subscriber, SubscriptionFilter

log = logging.getLogger("rollcall.feed")

BATCH_SIZE = 500
# Replayed items after which other tasks run.
ITEMS_PER_STEP = 20
# Seconds. Commits wake the feed; polling covers lost notifications.
POLL_SECONDS = 1.0
# Seconds. First pause while an open transaction, which may write no event, blocks new events.
PENDING_SECONDS = 0.02
# Of a cursor. Event ids have 63 bits.
MAX_DIGITS = 19
RESTORED = "The log was restored: resume with the last cursor."

Prepare = Callable[[AsyncSession, Sequence[EventRow]], Awaitable[Mapping[int, Item]]]


class Feed(Generic[Item]):
    """Events of some kinds, each prepared once for all subscribers.

    The log is read only while there are subscribers. `capacity`: items in the queue of one of them;
    larger than a batch, which is added without a pause.
    """

    def __init__(
        self,
        database: Database,
        kinds: Collection[EventKind],
        prepare: Prepare[Item],
        capacity: int,
    ) -> None:
        self._database = database
        self._kinds = event_log.of_kinds(kinds)
        self._prepare = prepare
        self._capacity = capacity
        self._end_reads: Batcher[None, Position] = Batcher([self._read_end], 1)
        self._woken = asyncio.Event()
        self._subscriber_count = 0
        self._pending_pause = PENDING_SECONDS
        self.slow_consumers = 0
        # By the keys of their filters, so that an event is compared with few of them.
        self._subscribers: defaultdict[str | int | None, set[Subscriber[Item]]] = defaultdict(set)
        # The last event that was sent; None while there are no subscribers.
        self._position: Position | None = None
        # Rises when the feed skips to the end of the log: earlier positions are invalid then.
        self._generation = 0

    @property
    def subscriber_count(self) -> int:
        """Number of subscriptions, including those in replay."""
        return self._subscriber_count

    def wake(self) -> None:
        """Poll the event log now: it may have new events."""
        self._woken.set()

    async def run(self) -> None:
        """Run until cancelled. Survives database outages."""
        checked = False
        while True:
            try:
                if not checked:
                    await self._check_same_log()
                    checked = True
                pause = await self._poll()
            except Unavailable:
                checked, pause = False, POLL_SECONDS
            except Exception:
                log.exception("Events could not be sent to subscribers; they are asked to resume.")
                with suppress(Unavailable):
                    await self._skip_to_end()
                pause = POLL_SECONDS
            if pause:
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._woken.wait()
            self._woken.clear()

    async def subscribe(
        self, filter: SubscriptionFilter, after: str | None
    ) -> AsyncGenerator[Item]:
        """Yield items after the event `after`; None: only new ones.

        Raises InputError if `after` is not an event id, SlowConsumer if the queue is full or the
        log was restored: the subscriber can resume.
        """
        self._subscriber_count += 1
        subscriber: Subscriber[Item] | None = None
        try:
            generation = self._generation
            seen = await self._start_position(after)
            while generation == self._generation and seen < self._sent_position():
                items, seen = await self._replay(seen, filter)
                for nth, item in enumerate(items, 1):
                    yield item
                    if nth % ITEMS_PER_STEP == 0:
                        # A fast reader would otherwise block the event loop during its replay.
                        await asyncio.sleep(0)
            if generation != self._generation:
                raise SlowConsumer(RESTORED)
            # No await between the comparison of the positions and this, so no event is lost.
            subscriber = Subscriber(filter, seen, self._capacity)
            self._subscribers[filter.key].add(subscriber)
            while True:
                yield await subscriber.next()
        finally:
            self._subscriber_count -= 1
            if subscriber:
                self._remove(filter, subscriber)
            if not self._subscriber_count:
                self._position = None

    async def _start_position(self, after: str | None) -> Position:
        start = None
        if after is not None:
            async with self._database.transaction() as session:
                start = await _position_of_cursor(session, after)
        end = await self._end_reads.get(None)
        assert end is not None  # noqa: S101
        if self._position is None:
            self._position = end
            self.wake()
        return start or max(end, self._position)

    async def _read_end(self, _: Sequence[None]) -> Mapping[None, Position]:
        """Read the end of the log, once for all concurrent new subscribers."""
        async with self._database.transaction() as session:
            return {None: await event_log.last_readable(session)}

    def _sent_position(self) -> Position:
        assert self._position is not None  # noqa: S101
        return self._position

    async def _replay(
        self, seen: Position, filter: SubscriptionFilter
    ) -> tuple[list[Item], Position]:
        """Read past events for one subscriber. Returns the items, and where to read on."""
        async with self._database.transaction() as session:
            batch = await event_log.read(
                session, seen, BATCH_SIZE, self._kinds, *filter.where, until=self._sent_position()
            )
            prepared = await self._prepare(session, batch.events) if batch.events else {}
        return [prepared[event.id] for event in batch.events], batch.end

    async def _poll(self) -> float:
        """Read new events for all subscribers. Returns the seconds until the next poll."""
        if self._position is None:
            return POLL_SECONDS
        async with self._database.transaction(background=True) as session:
            batch = await event_log.read(session, self._sent_position(), BATCH_SIZE, self._kinds)
            prepared: dict[int, Item] = {}
            # Repeated, because new subscribers may arrive while events are prepared.
            while missing := [
                event
                for event in batch.events
                if event.id not in prepared and self._has_subscriber(event)
            ]:
                prepared |= await self._prepare(session, missing)
            self._send(batch, prepared)
        if batch.more:
            return 0
        # Doubles while an open transaction blocks new events.
        self._pending_pause = (
            min(2 * self._pending_pause, POLL_SECONDS) if batch.pending else PENDING_SECONDS
        )
        return self._pending_pause if batch.pending else POLL_SECONDS

    def _send(self, batch: event_log.Batch, prepared: Mapping[int, Item]) -> None:
        """Queue the items. Has no await, so each subscriber gets the whole batch or none."""
        for event in batch.events:
            for subscriber in self._subscribers_of(event):
                self.slow_consumers += not subscriber.put(prepared[event.id])
        if self._position is not None:
            self._position = batch.end

    def _has_subscriber(self, event: EventRow) -> bool:
        return any(True for _ in self._subscribers_of(event))

    def _subscribers_of(self, event: EventRow) -> Iterator["Subscriber[Item]"]:
        for key in {event.device_id, event.owner_id, None}:
            for subscriber in self._subscribers.get(key, ()):
                if subscriber.accepts(event):
                    yield subscriber

    def _remove(self, filter: SubscriptionFilter, subscriber: "Subscriber[Item]") -> None:
        self._subscribers[filter.key].discard(subscriber)
        if not self._subscribers[filter.key]:
            del self._subscribers[filter.key]

    async def _check_same_log(self) -> None:
        """After an outage, end all subscriptions if the log was restored: its positions differ."""
        position = self._position
        if position is None or position == event_log.START:
            return
        async with self._database.transaction(background=True) as session:
            same = await event_log.position_of_id(session, position[1]) == position
            end = await event_log.last_readable(session)
        if not same:
            self._restart_at(end, RESTORED)

    async def _skip_to_end(self) -> None:
        """End all subscriptions after a bug that an event may have caused: they can resume."""
        async with self._database.transaction(background=True) as session:
            end = await event_log.last_readable(session)
        self._restart_at(end, "Changes could not be read: resume with the last cursor.")

    def _restart_at(self, end: Position, reason: str) -> None:
        self._generation += 1
        for subscriber in chain.from_iterable(self._subscribers.values()):
            subscriber.end(SlowConsumer(reason))
        if self._subscriber_count:
            self._position = end


async def _position_of_cursor(session: AsyncSession, after: str) -> Position:
    if after == "0":
        return event_log.START
    if after.isascii() and after.isdigit() and len(after) <= MAX_DIGITS:
        found = await event_log.position_of_id(session, min(int(after), event_log.LAST_ID))
        if found:
            return found
    raise InputError.at(
        "after",
        "This cursor is not in the event log, or was deleted by retention: read the devices again, "
        "and subscribe with `latestCursor`.",
        ErrorCode.NOT_FOUND,
    )
