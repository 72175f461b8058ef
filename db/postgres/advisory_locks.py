"""PostgreSQL's advisory locks and their numbers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import IntEnum

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from db.postgres.connect import PROBE_SECONDS
from db.postgres.transient import is_transient

# PostgreSQL ends a connection that is idle for longer, and its locks.
LOCK_IDLE_SECONDS = 60


class Lock(IntEnum):
    """The numbers must not change, because servers of an older version may run at the same time."""

    MIGRATION = 7_265_531
    TOPIC_LEVELS = 7_265_532
    FIRST_TOKENS = 7_265_533
    LINKS = 7_265_534
    # The second key is the number of a shard.
    OUTBOX_SHARD = 7_265_540
    REPORTS = 7_265_541
    FAN_OUT = 7_265_542
    TELEGRAM_BOT = 7_265_543
    # The second key is the hash of a device id.
    DEVICE = 7_265_544


async def lock(session: AsyncSession | AsyncConnection, lock: Lock) -> None:
    """Wait for the lock, and hold it until the transaction ends."""
    await session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": lock})


async def lock_device(session: AsyncSession, id: str) -> None:
    """Wait for the lock of a device, and hold it until the transaction ends."""
    query = text("SELECT pg_advisory_xact_lock(:lock, hashtext(:id))")
    await session.execute(query, {"lock": Lock.DEVICE, "id": id})


async def try_lock(session: AsyncSession, lock: Lock) -> bool:
    """Lock as `lock` does, but return False at once if another transaction has the lock."""
    found = await session.execute(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": lock})
    return bool(found.scalar_one())


class LocksLost(Exception):
    """Another process may have the locks now. The work under the locks must stop at once."""


class Locks:
    """Advisory locks on one connection. A frozen process loses them after `LOCK_IDLE_SECONDS`."""

    def __init__(self, driver: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._driver = driver
        self._one_at_a_time = asyncio.Lock()

    @asynccontextmanager
    async def try_lock(self, lock: Lock, number: int = 0) -> AsyncIterator[bool]:
        """Hold a lock for the block. Yields False if another process has it. Raises LocksLost."""
        locked = await self._fetch("SELECT pg_try_advisory_lock($1, $2)", lock, number)
        try:
            yield locked
        finally:
            if locked:
                await self._fetch("SELECT pg_advisory_unlock($1, $2)", lock, number)

    async def keep_alive(self) -> None:
        """Reset the idle timeout. Call it more often than that. Raises LocksLost."""
        await self._fetch("SELECT true")

    async def _fetch(self, query: str, *values: int) -> bool:
        try:
            async with self._one_at_a_time:
                return bool(await self._driver.fetchval(query, *values, timeout=PROBE_SECONDS))
        except Exception as error:
            if is_transient(error):
                raise LocksLost(str(error)) from error
            raise
