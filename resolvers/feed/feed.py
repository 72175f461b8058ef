"""What is written to the log, handed to whoever subscribed: one reader for a whole process."""

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
from resolvers.feed.subscriber import Item, Selection, Subscriber

log = logging.getLogger("rollcall.feed")

BATCH = 500
AT_A_TIME = 20
# Whoever commits tells it; this is for a word that was lost.
POLL_SECONDS = 1.0
# Events that wait for a slower transaction of somebody who may write none.
PENDING_SECONDS = 0.02
MAX_DIGITS = 19
RESTORED = "The log was restored: resume with the last cursor."

Prepare = Callable[[AsyncSession, Sequence[EventRow]], Awaitable[Mapping[int, Item]]]


class Feed(Generic[Item]):
    """Events of some kinds, each prepared once, for any number of subscribers.

    It reads only while there are subscribers. `capacity`: how many items may wait for one of them;
    more than a batch, which comes at once.
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
        self._ends: Batcher[None, Position] = Batcher([self._read_end], 1)
        self._woken = asyncio.Event()
        self._followers = 0
        self._patience = PENDING_SECONDS
        self.cut_off = 0
        # By the key of what they follow, so that an event is held against few of them.
        self._subscribers: defaultdict[str | int | None, set[Subscriber[Item]]] = defaultdict(set)
        # All up to here was handed out; None while nobody is there.
        self._position: Position | None = None
        # Rises when the log turns out to be another one: positions of before mean nothing then.
        self._log = 0

    @property
    def followers(self) -> int:
        """How many subscriptions run, those that are still shown the past among them."""
        return self._followers

    def wake(self) -> None:
        """There may be something new."""
        self._woken.set()

    async def run(self) -> None:
        """Until it is cancelled, whatever happens to the database meanwhile."""
        checked = False
        while True:
            try:
                if not checked:
                    await self._check_same_log()
                    checked = True
                pause = await self._turn()
            except Unavailable:
                checked, pause = False, POLL_SECONDS
            except Exception:
                log.exception("Events could not be handed out.")
                with suppress(Unavailable):
                    await self._pass_over()
                pause = POLL_SECONDS
            if pause:
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._woken.wait()
            self._woken.clear()

    async def subscribe(self, selection: Selection, after: str | None) -> AsyncGenerator[Item]:
        """From the event `after` on, or from now on.

        Raises InputError if `after` is not an event id, SlowConsumer if the queue is full or the
        log was restored: the subscriber can resume.
        """
        self._followers += 1
        subscriber: Subscriber[Item] | None = None
        try:
            number = self._log
            seen = await self._begin(after)
            while number == self._log and seen < self._reached():
                items, seen = await self._past(seen, selection)
                for nth, item in enumerate(items, 1):
                    yield item
                    if nth % AT_A_TIME == 0:
                        # Whoever reads fast would else keep everybody waiting for its past.
                        await asyncio.sleep(0)
            if number != self._log:
                raise SlowConsumer(RESTORED)
            # Nothing is awaited between the look at the position and this.
            subscriber = Subscriber(selection, seen, self._capacity)
            self._subscribers[selection.key].add(subscriber)
            while True:
                yield await subscriber.next()
        finally:
            self._followers -= 1
            if subscriber:
                self._leave(selection, subscriber)
            if not self._followers:
                self._position = None

    async def _begin(self, after: str | None) -> Position:
        start = None
        if after is not None:
            async with self._database.transaction() as session:
                start = await _start(session, after)
        end = await self._ends.get(None)
        assert end is not None  # noqa: S101
        if self._position is None:
            self._position = end
            self.wake()
        return start or max(end, self._position)

    async def _read_end(self, _: Sequence[None]) -> Mapping[None, Position]:
        """For all who begin at the same time."""
        async with self._database.transaction() as session:
            return {None: await event_log.last_readable(session)}

    def _reached(self) -> Position:
        assert self._position is not None  # noqa: S101
        return self._position

    async def _past(self, seen: Position, selection: Selection) -> tuple[list[Item], Position]:
        async with self._database.transaction() as session:
            batch = await event_log.read(
                session, seen, BATCH, self._kinds, *selection.where, until=self._reached()
            )
            prepared = await self._prepare(session, batch.events) if batch.events else {}
        return [prepared[event.id] for event in batch.events], batch.end

    async def _turn(self) -> float:
        """Hands out what is new; returns how long to wait for more, in seconds."""
        if self._position is None:
            return POLL_SECONDS
        async with self._database.transaction(background=True) as session:
            batch = await event_log.read(session, self._reached(), BATCH, self._kinds)
            prepared: dict[int, Item] = {}
            # Somebody may have come while others' events were prepared.
            while missing := [e for e in batch.events if e.id not in prepared and self._wanted(e)]:
                prepared |= await self._prepare(session, missing)
            self._hand_out(batch, prepared)
        if batch.more:
            return 0
        # Longer and longer where somebody else's transaction holds events up.
        self._patience = min(2 * self._patience, POLL_SECONDS) if batch.pending else PENDING_SECONDS
        return self._patience if batch.pending else POLL_SECONDS

    def _hand_out(self, batch: event_log.Batch, prepared: Mapping[int, Item]) -> None:
        """Nothing is awaited in here: whoever subscribes comes before or after all of it."""
        for event in batch.events:
            for subscriber in self._wanting(event):
                self.cut_off += not subscriber.put(prepared[event.id])
        if self._position is not None:
            self._position = batch.end

    def _wanted(self, event: EventRow) -> bool:
        return any(True for _ in self._wanting(event))

    def _wanting(self, event: EventRow) -> Iterator["Subscriber[Item]"]:
        for key in {event.device_id, event.owner_id, None}:
            for subscriber in self._subscribers.get(key, ()):
                if subscriber.wants(event):
                    yield subscriber

    def _leave(self, selection: Selection, subscriber: "Subscriber[Item]") -> None:
        self._subscribers[selection.key].discard(subscriber)
        if not self._subscribers[selection.key]:
            del self._subscribers[selection.key]

    async def _check_same_log(self) -> None:
        """After an outage: a log that was restored elsewhere has other positions."""
        position = self._position
        if position is None or position == event_log.START:
            return
        async with self._database.transaction(background=True) as session:
            same = await event_log.position_of_id(session, position[1]) == position
            end = await event_log.last_readable(session)
        if not same:
            self._start_anew(end, RESTORED)

    async def _pass_over(self) -> None:
        """After a bug, for which an event may be the reason: those who resume are told of it."""
        async with self._database.transaction(background=True) as session:
            end = await event_log.last_readable(session)
        self._start_anew(end, "Changes could not be read: resume with the last cursor.")

    def _start_anew(self, end: Position, reason: str) -> None:
        self._log += 1
        for subscriber in chain.from_iterable(self._subscribers.values()):
            subscriber.end(SlowConsumer(reason))
        if self._followers:
            self._position = end


async def _start(session: AsyncSession, after: str) -> Position:
    if after == "0":
        return event_log.START
    if after.isascii() and after.isdigit() and len(after) <= MAX_DIGITS:
        found = await event_log.position_of_id(session, min(int(after), event_log.LAST_ID))
        if found:
            return found
    raise InputError.at(
        "after",
        "This cursor is not in the log (any more): read the devices anew, and follow them from "
        "`latestCursor`.",
        ErrorCode.NOT_FOUND,
    )
