"""Brings the broker in line with the desired configs, shard by shard.

What the broker lacks is read from the database, published, and marked when the broker has
acknowledged it: so whatever crashes, somebody goes on where it was.
"""

import asyncio
import logging
import random
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress

from concurrency.tasks import run_all
from db.mqtt import outbox
from db.mqtt.outbox import Checkpoint, PendingConfig
from db.postgres.advisory_locks import Lock, Locks
from db.postgres.database import Database
from domain.mqtt.messages import RetainedMessage, clear_messages
from mqtt.client.connection import Connection, ConnectionLost

log = logging.getLogger("rollcall.mqtt")

BATCH = 1_000
AT_ONCE = 2
POLL_SECONDS = 1.0
# How long a marker may take from the broker to here, once it was asked for.
MARKER_SECONDS = 2.0
ECHO_SECONDS = 10.0
# And one that another process has just published.
MARKER_ON_ITS_WAY_SECONDS = 0.2


class ConfigPublisher:
    """Of one connection. Several processes share the work: a shard is one's at a time.

    `volatile`: the broker is expected to be empty when it starts.
    """

    def __init__(
        self, database: Database, locks: Locks, connection: Connection, *, volatile: bool
    ) -> None:
        self._database = database
        self._locks = locks
        self._connection = connection
        self._volatile = volatile
        self._woken = asyncio.Event()
        self._markers: set[str] = set()
        # As they are retained on the broker, by topic.
        self._sequences: dict[str, int] = {}
        self._marker_came = asyncio.Event()
        self._unverified: set[str] = set(outbox.SHARDS)
        self._patient_until = 0.0
        self._again = 0.0
        self._stale: Collection[str] = ()

    def wake(self) -> None:
        """There may be something to deliver."""
        self._woken.set()

    def received(self, topic: str, payload: bytes, *, kept: bool) -> None:  # noqa: ARG002
        if topic in self._markers and payload.isdigit():
            self._sequences[topic] = int(payload)
            self._marker_came.set()

    async def run(self) -> None:
        """Until it is cancelled. Raises ConnectionLost, LocksLost and Unavailable."""
        async with self._database.transaction(background=True) as session:
            self._markers = set(await outbox.checkpoint_topics(session))
        await self._connection.subscribe(*self._markers)
        self._patient_until = time.monotonic() + MARKER_SECONDS
        while True:
            self._woken.clear()
            async with self._database.transaction(background=True) as session:
                if time.monotonic() > self._again:
                    await outbox.publish_again(session)
                    self._again = time.monotonic() + POLL_SECONDS
                owed, self._stale = await outbox.waiting(session)
            await self._deliver({*self._unverified, *owed, *self._stale})
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._woken.wait()

    async def _deliver(self, shards: Collection[str]) -> None:
        """In random order, so that several processes seldom want the same."""
        left = random.sample(sorted(shards), len(shards))

        async def work() -> None:
            while left:
                shard = left.pop()
                async with self._locks.attempt(Lock.OUTBOX_SHARD, int(shard, 16)) as ours:
                    if ours:
                        await self._bring(shard)

        await run_all(*(work() for _ in range(min(AT_ONCE, len(left)))))

    async def _bring(self, shard: str) -> None:
        if shard in self._unverified:
            if await self._has_lost_messages(shard):
                await self._publish_all(shard)
            self._unverified.discard(shard)
        if shard in self._stale:
            await self._clear(shard)
        found: Sequence[PendingConfig] | None = None
        while found is None or len(found) == BATCH:
            async with self._database.transaction(background=True) as session:
                found = await outbox.read_pending(session, shard, BATCH)
                marker = await outbox.checkpoint(session, shard)
            if found:
                await self._publish(shard, found, marker)

    async def _has_lost_messages(self, shard: str) -> bool:
        """Whether the broker's marker is older than ours, or missing."""
        async with self._database.transaction(background=True) as session:
            marker = await outbox.checkpoint(session, shard)
        if not marker.sequence:
            return False
        left = max(self._patient_until - time.monotonic(), MARKER_ON_ITS_WAY_SECONDS)
        return not await self._has(marker, left)

    async def _publish(
        self, shard: str, found: Sequence[PendingConfig], marker: Checkpoint
    ) -> None:
        """`marker`: the one so far; the next one comes after the messages."""
        marker = _next(marker)
        await self._connection.publish([*_messages(found), _retained(marker)])
        await self._came_back(marker)
        async with self._database.transaction(background=True) as session:
            await outbox.mark_published(session, found)
            await outbox.set_sequence(session, shard, marker.sequence)

    async def _came_back(self, marker: Checkpoint) -> None:
        """Some brokers acknowledge what they drop, for want of rights. Raises ConnectionLost."""
        if not await self._has(marker, ECHO_SECONDS):
            raise ConnectionLost("it drops what is published: this server needs all rights there")

    async def _has(self, marker: Checkpoint, seconds: float) -> bool:
        """Whether the broker has this marker, or a later one, within so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._sequences.get(marker.topic, 0) < marker.sequence:
                    self._marker_came.clear()
                    await self._marker_came.wait()
                return True
        return False

    async def _publish_all(self, shard: str) -> None:
        """The broker begins anew: everything, and only then the marker that says so."""
        level = logging.DEBUG if self._volatile else logging.INFO
        log.log(level, "The broker has lost messages: publishing shard %s again.", shard)
        after: str | None = ""
        while after is not None:
            async with self._database.transaction(background=True) as session:
                found = await outbox.all_of(session, shard, after, BATCH)
            await self._connection.publish(list(_messages(found)))
            async with self._database.transaction(background=True) as session:
                await outbox.mark_published(session, found)
            after = found[-1].id if len(found) == BATCH else None
        await self._clear_again(shard)
        async with self._database.transaction(background=True) as session:
            marker = await outbox.checkpoint(session, shard)
        await self._publish(shard, (), marker)

    async def _clear(self, shard: str) -> None:
        """As `_publish`: the marker comes last, and tells whether a broker still knows of it."""
        while True:
            async with self._database.transaction(background=True) as session:
                bases = await outbox.stale(session, shard, BATCH)
                marker = _next(await outbox.checkpoint(session, shard))
            if not bases:
                return
            messages = [message for base in bases for message in clear_messages(base)]
            await self._connection.publish([*messages, _retained(marker)])
            await self._came_back(marker)
            async with self._database.transaction(background=True) as session:
                await outbox.cleared(session, bases)
                await outbox.set_sequence(session, shard, marker.sequence)

    async def _clear_again(self, shard: str) -> None:
        """A broker that came back with an old state has what was cleared since."""
        after: str | None = ""
        while after is not None:
            async with self._database.transaction(background=True) as session:
                bases = await outbox.cleared_before(session, shard, after, BATCH)
            await self._connection.publish([m for base in bases for m in clear_messages(base)])
            after = bases[-1] if len(bases) == BATCH else None


def _messages(found: Iterable[PendingConfig]) -> Iterable[RetainedMessage]:
    return (message for delivery in found for message in delivery.messages)


def _next(marker: Checkpoint) -> Checkpoint:
    """Never a number that was used before, also where its message was lost."""
    return Checkpoint(marker.topic, max(marker.sequence + 1, time.time_ns() // 1_000_000))


def _retained(marker: Checkpoint) -> RetainedMessage:
    return RetainedMessage(marker.topic, b"%d" % marker.sequence)
