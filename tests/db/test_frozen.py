"""A server that is frozen, rather than gone: nothing waits for it longer than it must."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import pytest
import pytest_asyncio
from sqlalchemy import text

from db.postgres.connect import CANCEL_SECONDS, CONNECT_SECONDS
from db.postgres.connections import DedicatedConnection
from db.postgres.database import Database
from domain.errors import Unavailable
from tests.support.postgres import Cluster

# For a busy machine.
SLACK_SECONDS = 2


@pytest.fixture
def frozen(server: Cluster) -> Iterator[Cluster]:
    """To be frozen by the test."""
    yield server
    server.thaw()


@pytest_asyncio.fixture
async def own(server: Cluster, url: str) -> AsyncIterator[Database]:
    database = Database(url)
    yield database
    server.thaw()
    await database.close()


async def test_connections_in_use_are_ended(frozen: Cluster, own: Database) -> None:
    """In a pool, on a lane, and for locks; and the end waits for nobody."""
    connection = DedicatedConnection(own)

    async def in_a_transaction() -> None:
        async with own.transaction() as session:
            await session.execute(text("SELECT 1"))
            used.release()
            await ready.wait()
            await session.execute(text("SELECT 1"))

    async def on_a_lane() -> None:
        async def work(driver: object) -> None:
            used.release()
            await ready.wait()
            await driver.fetchval("SELECT 1")  # type: ignore[attr-defined]

        await connection.read(work)

    async def keeping_locks() -> None:
        async with own.locks() as locks:
            used.release()
            await ready.wait()
            await locks.keep()

    used, ready = asyncio.Semaphore(0), asyncio.Event()
    works = (in_a_transaction, on_a_lane, keeping_locks)
    tasks = [asyncio.create_task(work()) for work in works]
    for _ in works:
        await used.acquire()
    frozen.freeze()
    ready.set()
    await asyncio.sleep(0.2)
    began = time.monotonic()
    await own.close()
    connection.close()
    # A lane tries once more.
    done, pending = await asyncio.wait(tasks, timeout=CONNECT_SECONDS + SLACK_SECONDS)
    assert not pending
    assert {str(task.exception()) for task in done}
    assert own.live.count == 0
    assert time.monotonic() - began < CONNECT_SECONDS + SLACK_SECONDS


async def test_the_close_does_not_wait(frozen: Cluster, own: Database) -> None:
    async with own.transaction() as session, own.transaction(background=True) as other:
        await session.execute(text("SELECT 1"))
        await other.execute(text("SELECT 1"))
    frozen.freeze()
    began = time.monotonic()
    await own.close()
    assert time.monotonic() - began < 1


async def test_a_statement_that_is_cancelled_does_not_wait(frozen: Cluster, own: Database) -> None:
    async def ask() -> None:
        async with own.transaction() as session:
            await session.execute(text("SELECT 1"))
            used.set()
            await ready.wait()
            await session.execute(text("SELECT 2"))

    used, ready = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(ask())
    await used.wait()
    frozen.freeze()
    ready.set()
    await asyncio.sleep(0.2)
    began = time.monotonic()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert time.monotonic() - began < 2 * CANCEL_SECONDS + SLACK_SECONDS


async def test_a_connection_is_not_waited_for(frozen: Cluster, own: Database) -> None:
    frozen.freeze()
    began = time.monotonic()
    with pytest.raises(Unavailable):
        async with own.transaction() as session:
            await session.execute(text("SELECT 1"))
    assert time.monotonic() - began < CONNECT_SECONDS + SLACK_SECONDS


async def test_a_watch_ends_the_others_at_once(frozen: Cluster, own: Database) -> None:
    async def ask() -> None:
        async with own.transaction() as session:
            await session.execute(text("SELECT pg_sleep(60)"))

    async with own.watched(lambda: None) as watch:
        task = asyncio.create_task(ask())
        await watch.probe()
        frozen.freeze()
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            await watch.probe()
        with pytest.raises(Unavailable):
            await task
        assert time.monotonic() - began < 5 + SLACK_SECONDS
