"""Every error of a database that is away, full or busy is Unavailable, wherever it is raised."""

from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from db.postgres.advisory_locks import LocksLost
from db.postgres.connections import DedicatedConnection
from db.postgres.database import Database
from db.postgres.transient import is_transient
from domain.errors import Unavailable

# One or more of each class.
STATES = (
    *("08000", "08003", "08006", "08P01", "40001", "40P01", "40002", "53000", "53100", "53200"),
    *("53300", "53400", "57000", "57014", "57P01", "57P02", "57P03", "57P04", "57P05", "25006"),
)
LASTING = ("22012", "23505", "42P01", "XX000", "P0001")


def raising(state: str) -> str:
    return f"DO $$ BEGIN RAISE EXCEPTION 'on purpose' USING ERRCODE = '{state}'; END $$"


@pytest.mark.parametrize("state", STATES)
async def test_in_a_transaction(database: Database, state: str) -> None:
    with pytest.raises(Unavailable):
        async with database.transaction() as session:
            await session.execute(text(raising(state)))
    async with database.transaction() as session:
        assert await session.scalar(text("SELECT 1")) == 1


@pytest.mark.parametrize("state", STATES)
async def test_on_a_lane(database: Database, state: str) -> None:
    connection = DedicatedConnection(database)

    async def fail(driver: Any) -> None:
        await driver.execute(raising(state))

    async def work(driver: Any) -> int:
        return int(await driver.fetchval("SELECT 1"))

    with pytest.raises(Unavailable):
        await connection.read(fail)
    assert await connection.read(work) == 1
    connection.close()


@pytest.mark.parametrize("state", LASTING)
async def test_others_are_not(database: Database, state: str) -> None:
    with pytest.raises(Exception, match=r"on purpose|42P01") as raised:
        async with database.transaction() as session:
            await session.execute(text(raising(state)))
    assert not is_transient(raised.value)
    assert not isinstance(raised.value, Unavailable)


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.TooManyConnectionsError("no more"),
        asyncpg.DiskFullError("full"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.InternalClientError("another operation is in progress"),
        asyncpg.ConnectionDoesNotExistError("closed in the middle of operation"),
        ConnectionResetError("in the handshake"),
        TimeoutError(),
    ],
)
def test_outside_of_transactions(error: Exception) -> None:
    assert is_transient(error)
    wrapped = RuntimeError("what it led to")
    wrapped.__cause__ = error
    assert is_transient(wrapped)


async def test_connections_that_died_idle_are_replaced(database: Database) -> None:
    """Nobody notices: neither in the pool nor on a lane."""
    connection = DedicatedConnection(database)

    async def work(driver: Any) -> int:
        return int(await driver.fetchval("SELECT pg_backend_pid()"))

    first = await connection.use(work)
    async with database.transaction() as session:
        await session.execute(text("SELECT 1"))
    database.live.end_all()
    assert await connection.use(work) != first
    async with database.transaction() as session:
        await session.execute(text("SELECT 1"))
    connection.close()


async def test_locks_that_are_lost(database: Database) -> None:
    async with database.locks() as locks:
        database.live.end_all()
        with pytest.raises(LocksLost):
            await locks.keep()


async def test_a_server_that_only_takes_reads_is_left(database: Database) -> None:
    """Its connections are ended, so that the next ones find what has become of it."""

    async def write() -> None:
        async with database.transaction() as session:
            await session.execute(text("SET TRANSACTION READ ONLY"))
            await session.execute(text("CREATE TABLE anything ()"))

    query = text("SELECT pg_backend_pid()")
    async with database.transaction() as session:
        before = await session.scalar(query)
    with pytest.raises(Unavailable):
        await write()
    async with database.transaction() as session:
        assert await session.scalar(query) != before
