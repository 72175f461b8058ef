"""PostgreSQL's advisory locks, each with its number."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import IntEnum

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from db.postgres.connect import PROBE_SECONDS
from db.postgres.transient import is_transient

LOCK_IDLE_SECONDS = 60


class Lock(IntEnum):
    """What is locked. The numbers must stay: servers of an older version may run beside."""

    MIGRATION = 7_265_531
    TOPIC_LEVELS = 7_265_532
    FIRST_TOKENS = 7_265_533
    LINKS = 7_265_534
    # Together with the number of a shard.
    OUTBOX_SHARD = 7_265_540
    REPORTS = 7_265_541
    FAN_OUT = 7_265_542
    TELEGRAM_BOT = 7_265_543
    # Together with the hash of a device's id.
    DEVICE = 7_265_544


async def lock(session: AsyncSession | AsyncConnection, lock: Lock) -> None:
    """Wait for the lock, and hold it until the transaction ends."""
    await session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": lock})


async def lock_device(session: AsyncSession, id: str) -> None:
    """As `hold`, in turn with all others that call this for the device."""
    query = text("SELECT pg_advisory_xact_lock(:lock, hashtext(:id))")
    await session.execute(query, {"lock": Lock.DEVICE, "id": id})


async def try_lock(session: AsyncSession, lock: Lock) -> bool:
    """As `hold`, but return False at once if another transaction holds it."""
    found = await session.execute(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": lock})
    return bool(found.scalar_one())


class LocksLost(Exception):
    """Others may have them by now: whoever relied on them has to stop at once."""


class Locks:
    """Advisory locks of one process. A process that is stopped loses them after a minute."""

    def __init__(self, driver: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._driver = driver
        self._one_at_a_time = asyncio.Lock()

    @asynccontextmanager
    async def attempt(self, lock: Lock, number: int = 0) -> AsyncIterator[bool]:
        """Whether nobody else had it; it is held until the end. Raises LocksLost."""
        held = await self._ask("SELECT pg_try_advisory_lock($1, $2)", lock, number)
        try:
            yield held
        finally:
            if held:
                await self._ask("SELECT pg_advisory_unlock($1, $2)", lock, number)

    async def keep(self) -> None:
        """To be called now and then, so that they stay. Raises LocksLost."""
        await self._ask("SELECT true")

    async def _ask(self, query: str, *values: int) -> bool:
        try:
            async with self._one_at_a_time:
                return bool(await self._driver.fetchval(query, *values, timeout=PROBE_SECONDS))
        except Exception as error:
            if is_transient(error):
                raise LocksLost(str(error)) from error
            raise
