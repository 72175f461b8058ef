"""Checks that Rollcall can use a database server."""

import asyncio

import asyncpg

from db.postgres.connect import Driver, ReadOnlyServer, is_writable
from db.postgres.permanent import SHARED, DatabaseUnusable, permanent_reason

MIN_VERSION = 14
ENCODING = "UTF8"
# Timeout of each statement.
CHECK_SECONDS = 5.0
# Comparisons. A pooler that shares connections must look exclusive in all of them to be missed.
ROUNDS = 5


async def check_server(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Check version, encoding, pooler and write access.

    Raises DatabaseUnusable if the server is too old, its encoding is not UTF8, or a pooler shares
    its connections between transactions. Raises ReadOnlyServer if it does not accept writes.
    """
    try:
        _check_version(connection)
        await _check_pooler(connection)
        await _check_encoding(connection)
        if not await is_writable(connection):
            raise ReadOnlyServer
    except asyncpg.PostgresError as error:
        if reason := permanent_reason(error):
            raise DatabaseUnusable(reason) from error
        raise


def _check_version(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    version = connection.get_server_version()
    if version.major < MIN_VERSION:
        raise DatabaseUnusable(
            f"The database is PostgreSQL {version.major}.{version.minor}, and Rollcall needs "
            f"{MIN_VERSION} or newer: upgrade the server, or set another ROLLCALL_DATABASE_URL."
        )


async def _check_encoding(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    query = "SELECT current_setting('server_encoding')"
    encoding = await connection.fetchval(query, timeout=CHECK_SECONDS)
    if encoding != ENCODING:
        raise DatabaseUnusable(
            f"The database has the encoding {encoding}, which can't hold every name: create one "
            f"with CREATE DATABASE ... ENCODING '{ENCODING}' TEMPLATE template0."
        )


async def _check_pooler(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Detect a pooler: it reports process ids that the server does not know.

    In session mode each of two clients has a server process to itself.
    """
    first = {await _process_id(connection)}
    if connection.get_server_pid() in first or not isinstance(connection, Driver):
        return
    try:
        other = await connection.another()
    except TimeoutError:
        raise TimeoutError(
            "the pooler gave no second connection: its pool (PgBouncer's default_pool_size) must "
            "be as large as ROLLCALL_DATABASE_CONNECTIONS"
        ) from None
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            if await _is_shared(first, connection, other):
                raise DatabaseUnusable(SHARED)
    finally:
        other.terminate()


async def _is_shared(
    first: set[int],
    connection: "asyncpg.Connection[asyncpg.Record]",
    other: "asyncpg.Connection[asyncpg.Record]",
) -> bool:
    second: set[int] = set()
    for _ in range(ROUNDS):
        # While its transaction is open, the pooler can't give this process to `connection`.
        async with other.transaction():
            second.add(await _process_id(other))
            if first & second:
                return True
            first.add(await _process_id(connection))
        if len(first) > 1 or len(second) > 1:
            return True
    return False


async def _process_id(connection: "asyncpg.Connection[asyncpg.Record]") -> int:
    query = "SELECT pg_backend_pid()"
    return int(await connection.fetchval(query, timeout=CHECK_SECONDS))
