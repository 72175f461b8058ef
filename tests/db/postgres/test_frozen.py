"""A frozen database server: no operation waits for it longer than its limit."""

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

# Seconds, for a busy machine.
SLACK_SECONDS = 2


@pytest.fixture
def frozen(server: Cluster) -> Iterator[Cluster]:
    """A cluster that the test freezes."""
    yield server
    server.thaw()


@pytest_asyncio.fixture
async def cluster_database(server: Cluster, url: str) -> AsyncIterator[Database]:
    database = Database(url)
    yield database
    server.thaw()
    await database.close()


async def test_close_ends_connections_to_frozen_server(
    frozen: Cluster, cluster_database: Database
) -> None:
    """Connections of a pool, a dedicated one, and one for locks; `close` waits for none."""
    connection = DedicatedConnection(cluster_database)

    async def in_a_transaction() -> None:
        async with cluster_database.transaction() as session:
            await session.execute(text("SELECT 1"))
            used.release()
            await ready.wait()
            await session.execute(text("SELECT 1"))

    async def on_a_dedicated_connection() -> None:
        async def work(driver: object) -> None:
            used.release()
            await ready.wait()
            await driver.fetchval("SELECT 1")  # type: ignore[attr-defined]

        await connection.read(work)

    async def keeping_locks() -> None:
        async with cluster_database.locks() as locks:
            used.release()
            await ready.wait()
            await locks.keep_alive()

    used, ready = asyncio.Semaphore(0), asyncio.Event()
    works = (in_a_transaction, on_a_dedicated_connection, keeping_locks)
    tasks = [asyncio.create_task(work()) for work in works]
    for _ in works:
        await used.acquire()
    frozen.freeze()
    ready.set()
    await asyncio.sleep(0.2)
    began = time.monotonic()
    await cluster_database.close()
    connection.close()
    # A dedicated connection is retried once.
    done, pending = await asyncio.wait(tasks, timeout=CONNECT_SECONDS + SLACK_SECONDS)
    assert not pending
    assert {str(task.exception()) for task in done}
    assert cluster_database.live.count == 0
    assert time.monotonic() - began < CONNECT_SECONDS + SLACK_SECONDS


async def test_close_does_not_wait_for_frozen_server(
    frozen: Cluster, cluster_database: Database
) -> None:
    async with (
        cluster_database.transaction() as session,
        cluster_database.transaction(background=True) as other,
    ):
        await session.execute(text("SELECT 1"))
        await other.execute(text("SELECT 1"))
    frozen.freeze()
    began = time.monotonic()
    await cluster_database.close()
    assert time.monotonic() - began < 1


async def test_cancelled_statement_does_not_wait_for_frozen_server(
    frozen: Cluster, cluster_database: Database
) -> None:
    async def ask() -> None:
        async with cluster_database.transaction() as session:
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


async def test_connect_to_frozen_server_raises_unavailable(
    frozen: Cluster, cluster_database: Database
) -> None:
    frozen.freeze()
    began = time.monotonic()
    with pytest.raises(Unavailable):
        async with cluster_database.transaction() as session:
            await session.execute(text("SELECT 1"))
    assert time.monotonic() - began < CONNECT_SECONDS + SLACK_SECONDS


async def test_watch_ends_other_connections_to_frozen_server(
    frozen: Cluster, cluster_database: Database
) -> None:
    async def ask() -> None:
        async with cluster_database.transaction() as session:
            await session.execute(text("SELECT pg_sleep(60)"))

    async with cluster_database.watch(lambda: None) as watch:
        task = asyncio.create_task(ask())
        await watch.probe()
        frozen.freeze()
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            await watch.probe()
        with pytest.raises(Unavailable):
            await task
        assert time.monotonic() - began < 5 + SLACK_SECONDS
