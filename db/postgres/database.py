"""The connection pool, and what callers are told when there is no connection to be had."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from db.postgres.advisory_locks import LOCK_IDLE_SECONDS, Locks
from db.postgres.connect import PROBE_SECONDS, Connector, Driver, NoConnection
from db.postgres.event_signal import CHANNEL, EventSignal
from db.postgres.live import LiveConnections
from db.postgres.sizes import FULL, sizes_for
from db.postgres.transient import NO_MORE_CONNECTIONS, READ_ONLY, has_state, is_transient
from domain.errors import Overloaded, Unavailable

log = logging.getLogger("rollcall.database")

STATEMENT_SECONDS = 30
POOL_SIZE = FULL.requests
POOL_WAIT_SECONDS = 10
# PostgreSQL takes a moment to end the idle connections that make room for another one.
ROOM_SECONDS = (0.05, 0.2, 0.5)
WARN_EVERY_SECONDS = 60

# In `session.info`: this transaction writes events.
RECORDED = "recorded"


class Database:
    """One engine per process. `begin()` is the only way to a transaction.

    `recorded` is set by every transaction of this process that has written events. `connections`:
    the most that are open at a time. Raises BadDatabaseUrl, a ValueError.
    """

    def __init__(
        self,
        url: str,
        *,
        connections: int = FULL.total,
        statement_seconds: float | None = STATEMENT_SECONDS,
    ) -> None:
        self.url = url
        self.sizes = sizes_for(connections)
        self._statement_seconds = statement_seconds
        self._connector = Connector(url, statement_seconds)
        self.live = LiveConnections()
        self._warn_again = 0.0
        self.engine = self._engine(self.sizes.requests)
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)
        # For what must go on however many requests there are.
        self._background_engine = self._engine(self.sizes.background)
        self._background_sessions = async_sessionmaker(
            self._background_engine, expire_on_commit=False
        )
        self.recorded = asyncio.Event()

    @asynccontextmanager
    async def transaction(self, *, background: bool = False) -> AsyncIterator[AsyncSession]:
        """One transaction: committed at the end, rolled back by an exception.

        `background`: use the pool for background work, which requests can't exhaust.
        Raises Unavailable if the connection fails, Overloaded if none is free in time.
        """
        try:
            async with (
                self._background_sessions if background else self._sessions
            ).begin() as session:
                yield session
            if RECORDED in session.info:
                self.recorded.set()
        except PoolTimeout as error:
            raise Overloaded("The server has too much to do; try again soon.") from error
        except Exception as error:
            if self.failed(error):
                raise Unavailable("The database is not available; try again soon.") from error
            raise

    @asynccontextmanager
    async def watched(self, heard: Callable[[], None]) -> AsyncIterator[EventSignal]:
        """A connection of its own, so that a busy pool is not taken for a dead server.

        `heard` is called when any process on this database has told of new events. At the end
        all connections are dropped: they are as dead as this one.
        """
        driver = await self.connection()
        try:
            await driver.execute("SET synchronous_commit = off", timeout=PROBE_SECONDS)
            async with asyncio.timeout(PROBE_SECONDS):
                await driver.add_listener(CHANNEL, lambda *_: heard())
            yield EventSignal(driver, self._lost)
        finally:
            driver.terminate()
            await self.close()

    @asynccontextmanager
    async def locks(self) -> AsyncIterator[Locks]:
        """Locks that end with a connection of their own: at the latest when this process dies.

        Raises Unavailable.
        """
        try:
            driver = await self.connection()
            try:
                await driver.execute(
                    f"SET idle_session_timeout = '{LOCK_IDLE_SECONDS}s'", timeout=PROBE_SECONDS
                )
            except BaseException:
                driver.terminate()
                raise
        except Exception as error:
            if is_transient(error):
                raise Unavailable("The database is not available; try again soon.") from error
            raise
        try:
            yield Locks(driver)
        finally:
            driver.terminate()

    async def connection(self) -> Driver:
        """One of the caller's own, who ends it. Raises NoConnection."""
        for seconds in ROOM_SECONDS:
            try:
                return self.live.add(await self._connector.connect())
            except NoConnection as error:
                is_full = has_state(error, NO_MORE_CONNECTIONS)
                if is_full:
                    self._warn_of_limit()
                if not self.live.end_idle() or not is_full:
                    raise
            await asyncio.sleep(seconds)
        return self.live.add(await self._connector.connect())

    def move_to(self, url: str) -> None:
        """New connections go there, as to an embedded server that has another socket now."""
        if url != self.url:
            self.url = url
            self._connector = Connector(url, self._statement_seconds)

    def failed(self, error: BaseException) -> bool:
        """Whether an error of an operation is transient. Connections to a server that only takes
        reads by now are ended, so that the next ones find another.
        """
        if has_state(error, READ_ONLY):
            self._lost()
        return is_transient(error)

    async def close(self) -> None:
        """Ends all connections, without waiting for the server or for those who use them; what
        begins after that opens new ones.
        """
        self.live.end_all()
        await self.engine.dispose()
        await self._background_engine.dispose()

    def _engine(self, pool_size: int) -> AsyncEngine:
        engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=lambda: cast("Any", self.connection()),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=POOL_WAIT_SECONDS,
            hide_parameters=True,  # an error's text goes to the log
        )
        self.live.follow(engine)
        return engine

    def _lost(self) -> None:
        self._connector.avoid_present()
        self.live.end_all()

    def _warn_of_limit(self) -> None:
        if time.monotonic() < self._warn_again:
            return
        self._warn_again = time.monotonic() + WARN_EVERY_SECONDS
        log.warning(
            "The database gives this process no more than %d connections of up to %d: raise its "
            "limit, or lower ROLLCALL_DATABASE_CONNECTIONS.",
            self.live.count,
            self.sizes.total,
        )
