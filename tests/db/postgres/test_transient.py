"""Errors of an unavailable, full or busy database are raised as Unavailable."""

from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from db.postgres.advisory_locks import LocksLost
from db.postgres.connections import DedicatedConnection
from db.postgres.database import Database
from db.postgres.transient import is_transient
from domain.errors import Unavailable

# SQLSTATE codes, at least one of each transient class.
TRANSIENT_STATES = (
    *("08000", "08003", "08006", "08P01", "40001", "40P01", "40002", "53000", "53100", "53200"),
    *("53300", "53400", "57000", "57014", "57P01", "57P02", "57P03", "57P04", "57P05", "25006"),
)
PERMANENT_STATES = ("22012", "23505", "42P01", "XX000", "P0001")


def raise_sql(state: str) -> str:
    return f"DO $$ BEGIN RAISE EXCEPTION 'on purpose' USING ERRCODE = '{state}'; END $$"


@pytest.mark.parametrize("state", TRANSIENT_STATES)
async def test_transient_state_in_transaction_raises_unavailable(
    database: Database, state: str
) -> None:
    with pytest.raises(Unavailable):
        async with database.transaction() as session:
            await session.execute(text(raise_sql(state)))
    async with database.transaction() as session:
        assert await session.scalar(text("SELECT 1")) == 1


@pytest.mark.parametrize("state", TRANSIENT_STATES)
async def test_transient_state_on_dedicated_connection_raises_unavailable(
    database: Database, state: str
) -> None:
    connection = DedicatedConnection(database)

    async def fail(driver: Any) -> None:
        await driver.execute(raise_sql(state))

    async def work(driver: Any) -> int:
        return int(await driver.fetchval("SELECT 1"))

    with pytest.raises(Unavailable):
        await connection.read(fail)
    assert await connection.read(work) == 1
    connection.close()


@pytest.mark.parametrize("state", PERMANENT_STATES)
async def test_other_states_are_not_transient(database: Database, state: str) -> None:
    with pytest.raises(Exception, match=r"on purpose|42P01") as raised:
        async with database.transaction() as session:
            await session.execute(text(raise_sql(state)))
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
def test_driver_and_socket_errors_are_transient(error: Exception) -> None:
    assert is_transient(error)
    wrapped = RuntimeError("a consequence")
    wrapped.__cause__ = error
    assert is_transient(wrapped)


async def test_closed_idle_connections_are_replaced(database: Database) -> None:
    """Callers see no error, neither with the pool nor with a dedicated connection."""
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


async def test_lost_advisory_locks_raise(database: Database) -> None:
    async with database.locks() as locks:
        database.live.end_all()
        with pytest.raises(LocksLost):
            await locks.keep_alive()


async def test_connections_to_read_only_server_are_ended(database: Database) -> None:
    """After a failover, the next connections must find the new primary."""

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
