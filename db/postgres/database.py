"""The connection pools, and the errors if no connection is available."""

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
# Pauses between attempts if the server has no free connection: PostgreSQL takes a moment to end the
# idle ones that were closed.
FULL_RETRY_SECONDS = (0.05, 0.2, 0.5)
WARN_EVERY_SECONDS = 60

# A key of `session.info`: the transaction writes events.
RECORDED = "recorded"


class Database:
    """The database of a process.

    `recorded` is set after each transaction of this process that has written events.
    `connections`: the maximum of open connections. Raises BadDatabaseUrl, a ValueError.
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
        # A second pool, so that requests can't block background work.
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
            raise Overloaded("The server is overloaded: try again soon.") from error
        except Exception as error:
            if self.handle_error(error):
                raise Unavailable("The database is not available; try again soon.") from error
            raise

    @asynccontextmanager
    async def watch(self, on_events: Callable[[], None]) -> AsyncIterator[EventSignal]:
        """Open a connection for health checks and event signals.

        It is separate, so that a busy pool does not look like a dead server. `on_events` is called
        when a process on this database signals new events. All connections are closed at the end,
        because this one ends when the server does not answer.
        """
        driver = await self.connection()
        try:
            await driver.execute("SET synchronous_commit = off", timeout=PROBE_SECONDS)
            async with asyncio.timeout(PROBE_SECONDS):
                await driver.add_listener(CHANNEL, lambda *_: on_events())
            yield EventSignal(driver, self._abandon_host)
        finally:
            driver.terminate()
            await self.close()

    @asynccontextmanager
    async def locks(self) -> AsyncIterator[Locks]:
        """Open a connection for advisory locks. The locks end with it, or when this process dies.

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
        """Open a connection, which the caller must end. Raises NoConnection."""
        for seconds in FULL_RETRY_SECONDS:
            try:
                return self.live.add(await self._connector.connect())
            except NoConnection as error:
                is_full = has_state(error, NO_MORE_CONNECTIONS)
                if is_full:
                    self._warn_of_limit()
                if not self.live.close_idle() or not is_full:
                    raise
            await asyncio.sleep(seconds)
        return self.live.add(await self._connector.connect())

    def change_url(self, url: str) -> None:
        """Use another URL for new connections: a restarted embedded server has another socket."""
        if url != self.url:
            self.url = url
            self._connector = Connector(url, self._statement_seconds)

    def handle_error(self, error: BaseException) -> bool:
        """Return True if an error of an operation is transient.

        If the server has become read-only, all connections are ended, so that the next ones go to
        another host.
        """
        if has_state(error, READ_ONLY):
            self._abandon_host()
        return is_transient(error)

    async def close(self) -> None:
        """End all connections, without waiting for the server or for running operations.

        Later operations open new connections.
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
            hide_parameters=True,  # the text of errors is logged
        )
        self.live.track(engine)
        return engine

    def _abandon_host(self) -> None:
        self._connector.avoid_current_host()
        self.live.end_all()

    def _warn_of_limit(self) -> None:
        if time.monotonic() < self._warn_again:
            return
        self._warn_again = time.monotonic() + WARN_EVERY_SECONDS
        log.warning(
            "The database accepts only %d of up to %d connections of this process: raise its "
            "limit, or lower ROLLCALL_DATABASE_CONNECTIONS.",
            self.live.count,
            self.sizes.total,
        )
