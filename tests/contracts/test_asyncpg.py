"""What `db/postgres/` relies on in asyncpg, beside its documented names."""

import asyncio
import inspect
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import psutil
import pytest
import pytest_asyncio
from asyncpg.connect_utils import SessionAttribute

from db.postgres.connect import Driver
from db.postgres.database import STATEMENT_SECONDS, Database
from db.postgres.transient import is_transient
from tests.support.waiting import WAIT_SECONDS, until


class Recorder(asyncpg.Connection):  # type: ignore[type-arg]
    """`cancelled`: what `_cancel` was given."""

    cancelled: list[tuple[Any, ...]]

    async def _cancel(self, waiter: Any, cancel_waiter: Any = None) -> None:
        self.cancelled.append((waiter, cancel_waiter))
        await super()._cancel(waiter, cancel_waiter)  # type: ignore[misc]


@pytest_asyncio.fixture
async def driver(database: Database) -> AsyncIterator[Any]:
    driver = await database.connection()
    yield driver
    driver.terminate()


@pytest_asyncio.fixture
async def frozen(driver: Any) -> AsyncIterator["asyncio.Task[Any]"]:
    """A statement of `driver` whose server has stopped answering."""
    backend = psutil.Process(await driver.fetchval("SELECT pg_backend_pid()"))
    backend.suspend()
    statement = asyncio.create_task(driver.fetchval("SELECT 1"))
    await asyncio.sleep(0.05)
    assert not statement.done()
    yield statement
    backend.resume()


def test_how_a_connection_is_asked_for() -> None:
    """`Connector._open` in `connect`."""
    parameters = inspect.signature(asyncpg.connect).parameters
    wanted = {"passfile", "krbsrvname", "gsslib", "target_session_attrs", "connection_class"}
    assert wanted <= parameters.keys()
    assert SessionAttribute.any.value == "any"


async def test_the_transport(driver: Any) -> None:
    """`Driver.is_closed`, `Driver.drop` and `_set_keepalives` in `connect`."""
    transport = driver._transport
    assert isinstance(transport.get_extra_info("socket").family, socket.AddressFamily)
    assert not transport.is_closing()
    transport.abort()
    assert transport.is_closing()
    await until(lambda: asyncpg.Connection.is_closed(driver))


async def test_a_frozen_server_is_not_waited_for(driver: Any, frozen: "asyncio.Task[Any]") -> None:
    """`terminate`, which ends connections everywhere: at once, and without the server."""
    driver.terminate()
    assert driver.is_closed()
    with pytest.raises(asyncpg.PostgresConnectionError):
        async with asyncio.timeout(WAIT_SECONDS):
            await frozen


async def test_a_connection_that_is_dropped(driver: Any, frozen: "asyncio.Task[Any]") -> None:
    """`Driver.drop`: a statement that is under way raises an error of the driver."""
    driver.drop()
    assert driver.is_closed()
    with pytest.raises(asyncpg.PostgresConnectionError) as lost:
        async with asyncio.timeout(WAIT_SECONDS):
            await frozen
    assert is_transient(lost.value)


async def test_how_a_statement_is_cancelled(database_url: str) -> None:
    """`Driver` overrides `_cancel`, which is called for each, with futures."""
    Recorder.cancelled = []
    recorder: Any = await asyncpg.connect(database_url, connection_class=Recorder)
    with pytest.raises(TimeoutError):
        await recorder.fetchval("SELECT pg_sleep(60)", timeout=0.1)
    assert await recorder.fetchval("SELECT 1") == 1
    waiting = asyncio.create_task(recorder.fetchval("SELECT pg_sleep(60)"))
    await asyncio.sleep(0.1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await recorder.fetchval("SELECT 2") == 2
    assert len(recorder.cancelled) == 2
    for waiter, cancel_waiter in recorder.cancelled:
        assert asyncio.isfuture(waiter)
        assert waiter.done()
        assert cancel_waiter is None or asyncio.isfuture(cancel_waiter)
    recorder.terminate()


async def test_a_cancelled_statement_of_a_frozen_server(
    driver: Driver, frozen: "asyncio.Task[Any]"
) -> None:
    """`Driver._cancel`: the driver's own would wait as long as for a statement, or for ever."""
    begin = time.monotonic()
    frozen.cancel()
    with pytest.raises(asyncio.CancelledError):
        await frozen
    await until(driver.is_closed)
    assert time.monotonic() - begin < STATEMENT_SECONDS / 2


@pytest_asyncio.fixture
async def widened(database: Database, driver: Any) -> AsyncIterator[Any]:
    """Changes the table `few`, which `driver` has read, in another connection."""
    await driver.execute("CREATE TABLE few (id int)")
    await driver.execute("INSERT INTO few VALUES (1)")

    async def widen() -> None:
        other = await database.connection()
        await other.execute("ALTER TABLE few ADD COLUMN more int DEFAULT 2")
        other.terminate()

    yield widen


async def test_a_plan_after_a_migration(driver: Any, widened: Any) -> None:
    """`Driver.fetch`, as of `DevicePages`: it is made again, outside of a transaction."""
    assert [*map(tuple, await driver.fetch("SELECT * FROM few"))] == [(1,)]
    await widened()
    assert [*map(tuple, await driver.fetch("SELECT * FROM few"))] == [(1, 2)]


async def test_a_plan_after_a_migration_in_a_transaction(driver: Any, widened: Any) -> None:
    """`transient` counts the error among those that pass: the same may succeed later."""
    await driver.fetch("SELECT * FROM few")
    await widened()
    with pytest.raises(asyncpg.InvalidCachedStatementError) as stale:
        async with driver.transaction():
            await driver.fetch("SELECT * FROM few")
    assert is_transient(stale.value)
    assert [*map(tuple, await driver.fetch("SELECT * FROM few"))] == [(1, 2)]


async def test_a_prepared_statement_after_a_migration(driver: Any, widened: Any) -> None:
    """`DedicatedConnection.fetch` closes its connection after such an error."""
    statement = await driver.prepare("SELECT * FROM few", timeout=5)
    assert [*map(tuple, await statement.fetch(timeout=5))] == [(1,)]
    await widened()
    with pytest.raises(asyncpg.InvalidCachedStatementError) as stale:
        await statement.fetch(timeout=5)
    assert is_transient(stale.value)


async def test_what_is_no_fault_of_a_statement(driver: Any) -> None:
    """`MISTAKES` in `connections`: after each, the connection is as good as before."""
    for statement, error in (
        ("SELECT 'x'::text::int", asyncpg.DataError),
        ("DO $$ BEGIN RAISE unique_violation; END $$", asyncpg.IntegrityConstraintViolationError),
        ("DO $$ BEGIN RAISE deadlock_detected; END $$", asyncpg.TransactionRollbackError),
    ):
        with pytest.raises(error):
            await driver.fetch(statement)
        assert await driver.fetchval("SELECT 1") == 1
