"""Publishes pending configs to the broker, shard by shard.

They are read from the outbox, published, and removed when the broker has acknowledged them. After a
crash, this or another server continues there.
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
PARALLEL_SHARDS = 2
POLL_SECONDS = 1.0
# Seconds that a checkpoint may take to arrive after the subscription.
CHECKPOINT_SECONDS = 2.0
ECHO_SECONDS = 10.0
# Seconds for a checkpoint that another process has just published.
RECENT_CHECKPOINT_SECONDS = 0.2


class ConfigPublisher:
    """Publishes by one connection. Several processes share the shards by locks.

    `volatile`: the broker loses its retained messages when it stops.
    """

    def __init__(
        self, database: Database, locks: Locks, connection: Connection, *, volatile: bool
    ) -> None:
        self._database = database
        self._locks = locks
        self._connection = connection
        self._volatile = volatile
        self._woken = asyncio.Event()
        self._checkpoint_topics: set[str] = set()
        # By topic: the sequences that the broker has retained.
        self._sequences: dict[str, int] = {}
        self._checkpoint_received = asyncio.Event()
        self._unverified: set[str] = set(outbox.SHARDS)
        self._checkpoint_deadline = 0.0
        self._next_republish_at = 0.0
        self._stale: Collection[str] = ()

    def wake(self) -> None:
        """Call when configs may be pending."""
        self._woken.set()

    def received(self, topic: str, payload: bytes, *, retained: bool) -> None:  # noqa: ARG002
        if topic in self._checkpoint_topics and payload.isdigit():
            self._sequences[topic] = int(payload)
            self._checkpoint_received.set()

    async def run(self) -> None:
        """Run until cancelled. Raises ConnectionLost, LocksLost and Unavailable."""
        async with self._database.transaction(background=True) as session:
            self._checkpoint_topics = set(await outbox.checkpoint_topics(session))
        await self._connection.subscribe(*self._checkpoint_topics)
        self._checkpoint_deadline = time.monotonic() + CHECKPOINT_SECONDS
        while True:
            self._woken.clear()
            async with self._database.transaction(background=True) as session:
                if time.monotonic() > self._next_republish_at:
                    await outbox.publish_again(session)
                    self._next_republish_at = time.monotonic() + POLL_SECONDS
                pending, self._stale = await outbox.shards_with_work(session)
            await self._publish_shards({*self._unverified, *pending, *self._stale})
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._woken.wait()

    async def _publish_shards(self, shards: Collection[str]) -> None:
        """Publish in random order, so that processes seldom compete for a shard."""
        remaining = random.sample(sorted(shards), len(shards))

        async def work() -> None:
            while remaining:
                shard = remaining.pop()
                async with self._locks.try_lock(Lock.OUTBOX_SHARD, int(shard, 16)) as locked:
                    if locked:
                        await self._publish_shard(shard)

        await run_all(*(work() for _ in range(min(PARALLEL_SHARDS, len(remaining)))))

    async def _publish_shard(self, shard: str) -> None:
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
                checkpoint = await outbox.checkpoint(session, shard)
            if found:
                await self._publish(shard, found, checkpoint)

    async def _has_lost_messages(self, shard: str) -> bool:
        """Whether the broker's checkpoint is older than the database's, or missing."""
        async with self._database.transaction(background=True) as session:
            checkpoint = await outbox.checkpoint(session, shard)
        if not checkpoint.sequence:
            return False
        seconds = max(self._checkpoint_deadline - time.monotonic(), RECENT_CHECKPOINT_SECONDS)
        return not await self._broker_has(checkpoint, seconds)

    async def _publish(
        self, shard: str, found: Sequence[PendingConfig], checkpoint: Checkpoint
    ) -> None:
        """Publish the messages, then the next checkpoint. `checkpoint`: the present checkpoint."""
        checkpoint = _next(checkpoint)
        await self._connection.publish([*_messages(found), _retained(checkpoint)])
        await self._wait_for_echo(checkpoint)
        async with self._database.transaction(background=True) as session:
            await outbox.mark_published(session, found)
            await outbox.set_sequence(session, shard, checkpoint.sequence)

    async def _wait_for_echo(self, checkpoint: Checkpoint) -> None:
        """Wait until the broker sends the checkpoint back.

        Some brokers acknowledge messages that they drop because of missing rights. Raises
        ConnectionLost if it does not come back.
        """
        if not await self._broker_has(checkpoint, ECHO_SECONDS):
            raise ConnectionLost(
                "the broker drops published messages: give this server's user all rights"
            )

    async def _broker_has(self, checkpoint: Checkpoint, seconds: float) -> bool:
        """Whether the broker sends this checkpoint, or a later one, within `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._sequences.get(checkpoint.topic, 0) < checkpoint.sequence:
                    self._checkpoint_received.clear()
                    await self._checkpoint_received.wait()
                return True
        return False

    async def _publish_all(self, shard: str) -> None:
        """Publish all configs of the shard again, then the checkpoint: the broker lost messages."""
        level = logging.DEBUG if self._volatile else logging.INFO
        log.log(level, "The broker has lost retained messages; publishing shard %s again.", shard)
        after: str | None = ""
        while after is not None:
            async with self._database.transaction(background=True) as session:
                found = await outbox.read_all(session, shard, after, BATCH)
            await self._connection.publish(list(_messages(found)))
            async with self._database.transaction(background=True) as session:
                await outbox.mark_published(session, found)
            after = found[-1].id if len(found) == BATCH else None
        await self._clear_again(shard)
        async with self._database.transaction(background=True) as session:
            checkpoint = await outbox.checkpoint(session, shard)
        await self._publish(shard, (), checkpoint)

    async def _clear(self, shard: str) -> None:
        """Clear stale topics, then publish a checkpoint: a broker that has it has cleared them."""
        while True:
            async with self._database.transaction(background=True) as session:
                bases = await outbox.stale_topics(session, shard, BATCH)
                checkpoint = _next(await outbox.checkpoint(session, shard))
            if not bases:
                return
            messages = [message for base in bases for message in clear_messages(base)]
            await self._connection.publish([*messages, _retained(checkpoint)])
            await self._wait_for_echo(checkpoint)
            async with self._database.transaction(background=True) as session:
                await outbox.mark_cleared(session, bases)
                await outbox.set_sequence(session, shard, checkpoint.sequence)

    async def _clear_again(self, shard: str) -> None:
        """Clear topics again that a broker with an older state has retained."""
        after: str | None = ""
        while after is not None:
            async with self._database.transaction(background=True) as session:
                bases = await outbox.recently_cleared(session, shard, after, BATCH)
            await self._connection.publish([m for base in bases for m in clear_messages(base)])
            after = bases[-1] if len(bases) == BATCH else None


def _messages(found: Iterable[PendingConfig]) -> Iterable[RetainedMessage]:
    return (message for config in found for message in config.messages)


def _next(checkpoint: Checkpoint) -> Checkpoint:
    """Return a sequence that was never used before, even if its message was lost."""
    return Checkpoint(checkpoint.topic, max(checkpoint.sequence + 1, time.time_ns() // 1_000_000))


def _retained(checkpoint: Checkpoint) -> RetainedMessage:
    return RetainedMessage(checkpoint.topic, b"%d" % checkpoint.sequence)
