"""A connection of one's own, for statements that many requests share."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import asyncpg

from db.postgres.connect import PROBE_SECONDS, Driver
from db.postgres.database import POOL_WAIT_SECONDS, Database
from db.postgres.transient import is_transient
from domain.errors import Overloaded, Unavailable

Result = TypeVar("Result")

PLAN_SECONDS = 1.0
PLANNED_ONCE = "SET plan_cache_mode = force_generic_plan"

# Of the statement, of what it was given, or of others' locks; the connection is as good as before.
MISTAKES = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.TransactionRollbackError,
)


class DedicatedConnection:
    """Opened when it is used, one use at a time; given up when anything goes wrong with it.

    `planned_once`: for statements whose plan does not depend on their values, but on how large the
    tables are.
    """

    def __init__(self, database: Database, *, planned_once: bool = False) -> None:
        self._database = database
        self._planned_once = planned_once
        self._driver: Driver | None = None
        self._prepared: dict[str, Any] = {}
        self._planned_at = 0.0
        self._uses = 0
        database.live.add_dedicated(self)

    @property
    def is_open(self) -> bool:
        return self._driver is not None

    def close_idle(self) -> bool:
        """As `db.postgres.live.DedicatedConnection`."""
        if self._uses or self._driver is None:
            return False
        self.close()
        return True

    async def use(self, work: Callable[[Any], Awaitable[Result]]) -> Result:
        """Raises Unavailable, and `MISTAKES`."""
        self._uses += 1
        try:
            if self._driver is not None and self._driver.is_closed():
                self.close()
            driver = self._driver or await self._open()
            if self._planned_once:
                await self._plan_again(driver)
            return await work(driver)
        except MISTAKES:
            raise
        except BaseException as error:
            self.close()
            if self._database.failed(error):
                raise Unavailable("The database is not available; try again soon.") from error
            raise
        finally:
            self._uses -= 1

    async def read(self, work: Callable[[Any], Awaitable[Result]]) -> Result:
        """As `use`, for what may be done twice: the connection may have died while nobody used it.

        Raises Unavailable.
        """
        idle = self.is_open
        try:
            try:
                return await self.use(work)
            except Unavailable as error:
                if not idle or isinstance(error.__cause__, TimeoutError):
                    raise
            return await self.use(work)
        except MISTAKES as error:
            if is_transient(error):
                raise Unavailable("The database is not available; try again soon.") from error
            raise

    async def _open(self) -> Any:
        driver = self._driver = await self._database.connection()
        if self._planned_once:
            # PostgreSQL would plan again each time where some values look cheaper than others.
            await driver.execute(PLANNED_ONCE, timeout=PROBE_SECONDS)
        return driver

    async def _plan_again(self, driver: Any) -> None:
        """A plan for a table of one page would read all of it, and is kept while it grows."""
        now = time.monotonic()
        if now > self._planned_at + PLAN_SECONDS:
            self._planned_at = now
            await driver.execute("DISCARD PLANS", timeout=PROBE_SECONDS)

    async def fetch(self, driver: Any, query: str, *values: Any, seconds: float) -> Sequence[Any]:
        """The rows of one of few statements, each of which is looked up by its text alone."""
        statement = self._prepared.get(query)
        if statement is None:
            statement = self._prepared[query] = await driver.prepare(query, timeout=seconds)
        rows: Sequence[Any] = await statement.fetch(*values, timeout=seconds)
        return rows

    def close(self) -> None:
        self._prepared.clear()
        if self._driver:
            self._driver.drop()
            self._driver = None


class ConnectionPool:
    """At most so many. The ones that were used last are used first, the others stay closed."""

    def __init__(self, database: Database, most: int) -> None:
        self._free = [DedicatedConnection(database) for _ in range(most)]
        self._all = tuple(self._free)
        self._places = asyncio.Semaphore(most)

    async def read(self, work: Callable[[Any], Awaitable[Result]]) -> Result:
        """As `DedicatedConnection.read`. Raises Overloaded, too, where none comes free in time."""
        try:
            async with asyncio.timeout(POOL_WAIT_SECONDS):
                await self._places.acquire()
        except TimeoutError:
            raise Overloaded("The server has too much to do; try again soon.") from None
        connection = self._free.pop()
        try:
            return await connection.read(work)
        finally:
            self._free.append(connection)
            self._places.release()

    def close(self) -> None:
        for connection in self._all:
            connection.close()
