"""One subscriber of a feed, and the filter of its events."""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import ColumnElement

from db.events import log as event_log
from db.events.log import Position
from db.tables.events import EventRow
from domain.errors import SlowConsumer
from domain.events.kinds import EventKind
from domain.events.visibility import is_of_fleet

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class SubscriptionFilter:
    """Which events: of one device, one owner, both or all; of some kinds or all. None: any.

    `administration`: also those that are not about the fleet.
    """

    device_id: str | None = None
    owner_id: int | None = None
    kinds: frozenset[EventKind] | None = None
    administration: bool = False

    def matches(self, event: EventRow) -> bool:
        return (
            (self.administration or is_of_fleet(event.kind, event.device_id))
            and self.owner_id in (None, event.owner_id)
            and self.device_id in (None, event.device_id)
            and (self.kinds is None or event.kind in self.kinds)
        )

    @property
    def where(self) -> list[ColumnElement[bool]]:
        """The same conditions in SQL."""
        conditions = [] if self.administration else [event_log.of_fleet()]
        if self.owner_id is not None:
            conditions.append(EventRow.owner_id == self.owner_id)
        if self.device_id is not None:
            conditions.append(EventRow.device_id == self.device_id)
        if self.kinds is not None:
            conditions.append(event_log.of_kinds(self.kinds))
        return conditions

    @property
    def key(self) -> str | int | None:
        """The narrowest property that all matching events share."""
        return self.device_id or self.owner_id


class Subscriber(Generic[Item]):
    def __init__(self, filter: SubscriptionFilter, seen: Position, capacity: int) -> None:
        self._filter = filter
        self._seen = seen
        self._capacity = capacity
        self._loop = asyncio.get_running_loop()
        # Created on demand to save memory: most of thousands of subscribers are idle.
        self._queue: deque[Item] | None = None
        self._ready: asyncio.Future[None] | None = None
        self._end: SlowConsumer | None = None

    def accepts(self, event: EventRow) -> bool:
        # A client that resumes may have read further by another process.
        return self._filter.matches(event) and event_log.position_of(event) > self._seen

    def put(self, item: Item) -> bool:
        """Add an item to the queue. Returns False, and ends the subscription, if it is full."""
        if self._end:
            return True
        if self._queue is None:
            self._queue = deque()
        if len(self._queue) >= self._capacity:
            self.end(SlowConsumer("This subscriber reads too slowly: resume with the last cursor."))
            return False
        self._queue.append(item)
        self._wake()
        return True

    def end(self, reason: SlowConsumer) -> None:
        self._queue = None
        self._end = self._end or reason
        self._wake()

    def _wake(self) -> None:
        if self._ready and not self._ready.done():
            self._ready.set_result(None)

    async def next(self) -> Item:
        while not self._queue:
            if self._end:
                raise self._end
            self._queue = None
            self._ready = self._loop.create_future()
            await self._ready
        return self._queue.popleft()
