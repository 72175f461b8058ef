"""The connection pool, and what callers are told when there is no connection to be had."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from domain.errors import Overloaded, Unavailable

CONNECT_SECONDS = 5
PROBE_SECONDS = 5
STATEMENT_SECONDS = 30
POOL_SIZE = 16
OWN_POOL_SIZE = 4
POOL_WAIT_SECONDS = 10
# A transaction that is left open, by a process that was stopped, would hold up every follower.
IDLE_IN_TRANSACTION_MS = 60_000

LOCK_IDLE_SECONDS = 60

CHANNEL = "rollcall_events"
# In `session.info`: this transaction writes events.
RECORDED = "recorded"

# SQLSTATE classes and codes (PostgreSQL, appendix A) of a server that is absent, starting,
# stopping, read-only or full: the same statement may succeed later.
PASSING_STATES = ("08", "53", "57P", "25006")


class Database:
    """One engine per process. `begin()` is the only way to a transaction.

    `recorded` is set by every transaction of this process that has written events.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = POOL_SIZE,
        statement_seconds: float | None = STATEMENT_SECONDS,
    ) -> None:
        self.url = url
        self.engine = _engine(url, pool_size, statement_seconds)
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)
        # For what must go on however many requests there are.
        self._own_engine = _engine(url, OWN_POOL_SIZE, statement_seconds)
        self._own_sessions = async_sessionmaker(self._own_engine, expire_on_commit=False)
        self.recorded = asyncio.Event()

    @asynccontextmanager
    async def begin(self, *, own: bool = False) -> AsyncIterator[AsyncSession]:
        """One transaction: committed at the end, rolled back by an exception.

        `own`: not for a request, so it does not queue behind them. Raises Unavailable where the
        database can't be reached or has gone away meanwhile, Overloaded where no connection came
        free in time.
        """
        try:
            async with (self._own_sessions if own else self._sessions).begin() as session:
                yield session
            if RECORDED in session.info:
                self.recorded.set()
        except PoolTimeout as error:
            raise Overloaded("The server has too much to do; try again soon.") from error
        except Exception as error:
            if is_passing(error):
                raise Unavailable("The database is not available; try again soon.") from error
            raise

    @asynccontextmanager
    async def watched(self, heard: Callable[[], None]) -> AsyncIterator["Watch"]:
        """A connection of its own, so that a busy pool is not taken for a dead server.

        `heard` is called when any process on this database has told of new events. At the end
        the pool's connections are dropped: they are as dead as this one.
        """
        driver = await self.connection()
        try:
            await driver.execute("SET synchronous_commit = off", timeout=PROBE_SECONDS)
            await driver.add_listener(CHANNEL, lambda *_: heard())
            yield Watch(driver)
        finally:
            driver.terminate()
            await self.close()

    @asynccontextmanager
    async def locks(self) -> AsyncIterator["Locks"]:
        """Locks that end with a connection of their own: at the latest when this process dies.

        Raises Unavailable.
        """
        try:
            driver = await self.connection()
        except Exception as error:
            if is_passing(error):
                raise Unavailable("The database is not available; try again soon.") from error
            raise
        try:
            await driver.execute(f"SET idle_session_timeout = '{LOCK_IDLE_SECONDS}s'")
            yield Locks(driver)
        finally:
            driver.terminate()

    async def connection(self) -> "asyncpg.Connection[asyncpg.Record]":
        """One of the caller's own, who ends it."""
        connection = await self.engine.raw_connection()
        driver = connection.driver_connection
        connection.detach()
        assert isinstance(driver, asyncpg.Connection)  # noqa: S101
        return driver

    async def close(self) -> None:
        """Drops all connections; what begins after that opens new ones."""
        await self.engine.dispose()
        await self._own_engine.dispose()


def _engine(url: str, pool_size: int, statement_seconds: float | None) -> AsyncEngine:
    return create_async_engine(
        _asyncpg_url(url),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_WAIT_SECONDS,
        hide_parameters=True,  # an error's text goes to the log
        connect_args={
            "timeout": CONNECT_SECONDS,
            "command_timeout": statement_seconds,
            "server_settings": {
                "application_name": "rollcall",
                "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_MS),
            },
        },
    )


class Watch:
    """Whether the server answers, and a word to the other processes. Either raises if not."""

    def __init__(self, driver: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._driver = driver

    async def probe(self) -> None:
        await self._driver.execute("SELECT 1", timeout=PROBE_SECONDS)

    async def tell(self) -> None:
        """Outside of the transactions themselves: NOTIFY makes them commit one by one."""
        await self._driver.execute(f"NOTIFY {CHANNEL}", timeout=PROBE_SECONDS)


class LocksLost(Exception):
    """Others may have them by now: whoever relied on them has to stop at once."""


class Locks:
    """Advisory locks of one process. A process that is stopped loses them after a minute."""

    def __init__(self, driver: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._driver = driver
        self._one_at_a_time = asyncio.Lock()

    @asynccontextmanager
    async def attempt(self, kind: int, number: int) -> AsyncIterator[bool]:
        """Whether nobody else had it; it is held until the end. Raises LocksLost."""
        held = await self._ask("SELECT pg_try_advisory_lock($1, $2)", kind, number)
        try:
            yield held
        finally:
            if held:
                await self._ask("SELECT pg_advisory_unlock($1, $2)", kind, number)

    async def keep(self) -> None:
        """To be called now and then, so that they stay. Raises LocksLost."""
        await self._ask("SELECT true")

    async def _ask(self, query: str, *values: int) -> bool:
        try:
            async with self._one_at_a_time:
                return bool(await self._driver.fetchval(query, *values, timeout=PROBE_SECONDS))
        except Exception as error:
            if is_passing(error):
                raise LocksLost(str(error)) from error
            raise


def is_passing(error: BaseException) -> bool:
    """Whether an exception means that the database is away, rather than the statement wrong."""
    if isinstance(error, (OSError, TimeoutError, PoolTimeout, InterfaceError, OperationalError)):
        return True
    if isinstance(error, DBAPIError):
        state = getattr(error.orig, "sqlstate", None) or ""
        return error.connection_invalidated or state.startswith(PASSING_STATES)
    return isinstance(
        error,
        (asyncpg.CannotConnectNowError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError),
    )


def _asyncpg_url(url: str) -> str:
    parsed = make_url(url.replace("postgres://", "postgresql://", 1))
    return parsed.set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)
