"""Undocumented behaviour of asyncpg that `db/postgres/` relies on."""

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
    """`cancelled`: the arguments of each `_cancel`."""

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
    """A running statement of `driver` whose server process is frozen."""
    backend = psutil.Process(await driver.fetchval("SELECT pg_backend_pid()"))
    backend.suspend()
    statement = asyncio.create_task(driver.fetchval("SELECT 1"))
    await asyncio.sleep(0.05)
    assert not statement.done()
    yield statement
    backend.resume()


def test_connect_parameters_exist() -> None:
    """For the connect call in `db/postgres/connect.py`."""
    parameters = inspect.signature(asyncpg.connect).parameters
    wanted = {"passfile", "krbsrvname", "gsslib", "target_session_attrs", "connection_class"}
    assert wanted <= parameters.keys()
    assert SessionAttribute.any.value == "any"


async def test_transport_can_be_aborted(driver: Any) -> None:
    """For `Driver.is_closed`, `Driver.drop` and the keepalive settings."""
    transport = driver._transport
    assert isinstance(transport.get_extra_info("socket").family, socket.AddressFamily)
    assert not transport.is_closing()
    transport.abort()
    assert transport.is_closing()
    await until(lambda: asyncpg.Connection.is_closed(driver))


async def test_terminate_does_not_wait_for_frozen_server(
    driver: Any, frozen: "asyncio.Task[Any]"
) -> None:
    """`terminate` ends a connection at once, without the server."""
    driver.terminate()
    assert driver.is_closed()
    with pytest.raises(asyncpg.PostgresConnectionError):
        async with asyncio.timeout(WAIT_SECONDS):
            await frozen


async def test_drop_fails_running_statement(driver: Any, frozen: "asyncio.Task[Any]") -> None:
    """`Driver.drop`: a running statement raises an error of the driver."""
    driver.drop()
    assert driver.is_closed()
    with pytest.raises(asyncpg.PostgresConnectionError) as lost:
        async with asyncio.timeout(WAIT_SECONDS):
            await frozen
    assert is_transient(lost.value)


async def test_cancel_is_called_on_timeout_and_cancellation(database_url: str) -> None:
    """`Driver` overrides `_cancel`, which asyncpg calls with futures."""
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


async def test_cancellation_of_frozen_statement_closes_connection(
    driver: Driver, frozen: "asyncio.Task[Any]"
) -> None:
    """`Driver` overrides `_cancel`: asyncpg's would wait for the server, possibly forever."""
    begin = time.monotonic()
    frozen.cancel()
    with pytest.raises(asyncio.CancelledError):
        await frozen
    await until(driver.is_closed)
    assert time.monotonic() - begin < STATEMENT_SECONDS / 2


@pytest_asyncio.fixture
async def widened(database: Database, driver: Any) -> AsyncIterator[Any]:
    """Return a function that alters the table `few` in another connection."""
    await driver.execute("CREATE TABLE few (id int)")
    await driver.execute("INSERT INTO few VALUES (1)")

    async def widen() -> None:
        other = await database.connection()
        await other.execute("ALTER TABLE few ADD COLUMN more int DEFAULT 2")
        other.terminate()

    yield widen


async def test_fetch_replans_after_table_change(driver: Any, widened: Any) -> None:
    """`Driver.fetch` outside a transaction prepares the statement again."""
    assert [*map(tuple, await driver.fetch("SELECT * FROM few"))] == [(1,)]
    await widened()
    assert [*map(tuple, await driver.fetch("SELECT * FROM few"))] == [(1, 2)]


async def test_table_change_in_transaction_is_transient_error(driver: Any, widened: Any) -> None:
    """`is_transient` accepts this error: the same transaction may succeed later."""
    await driver.fetch("SELECT * FROM few")
    await widened()
    with pytest.raises(asyncpg.InvalidCachedStatementError) as stale:
        async with driver.transaction():
            await driver.fetch("SELECT * FROM few")
    assert is_transient(stale.value)
    assert [*map(tuple, await driver.fetch("SELECT * FROM few"))] == [(1, 2)]


async def test_table_change_of_prepared_statement_is_transient_error(
    driver: Any, widened: Any
) -> None:
    """`DedicatedConnection.fetch` closes its connection after this error."""
    statement = await driver.prepare("SELECT * FROM few", timeout=5)
    assert [*map(tuple, await statement.fetch(timeout=5))] == [(1,)]
    await widened()
    with pytest.raises(asyncpg.InvalidCachedStatementError) as stale:
        await statement.fetch(timeout=5)
    assert is_transient(stale.value)


async def test_connection_is_usable_after_data_and_conflict_errors(driver: Any) -> None:
    """`db/postgres/connections.py` keeps a connection after such errors."""
    for statement, error in (
        ("SELECT 'x'::text::int", asyncpg.DataError),
        ("DO $$ BEGIN RAISE unique_violation; END $$", asyncpg.IntegrityConstraintViolationError),
        ("DO $$ BEGIN RAISE deadlock_detected; END $$", asyncpg.TransactionRollbackError),
    ):
        with pytest.raises(error):
            await driver.fetch(statement)
        assert await driver.fetchval("SELECT 1") == 1
