"""Connections outside the pools, for statements that many requests share."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import asyncpg

from db.postgres import statement_hook
from db.postgres.connect import PROBE_SECONDS, Driver
from db.postgres.database import POOL_WAIT_SECONDS, Database
from db.postgres.transient import is_transient
from domain.errors import Overloaded, Unavailable

Result = TypeVar("Result")

# Plans are made again after this time. See `_plan_again`.
PLAN_SECONDS = 1.0
GENERIC_PLAN = "SET plan_cache_mode = force_generic_plan"

# Errors of a statement, its values, or of locks. The connection can be used again after them.
STATEMENT_ERRORS = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.TransactionRollbackError,
)


class DedicatedConnection:
    """A connection that is opened on first use and closed after an error.

    Only one use at a time. `generic_plan`: True for statements whose plan does not depend on their
    values, only on the sizes of the tables.
    """

    def __init__(self, database: Database, *, generic_plan: bool = False) -> None:
        self._database = database
        self._generic_plan = generic_plan
        self._driver: Driver | None = None
        self._prepared: dict[str, Any] = {}
        self._planned_at = 0.0
        self._uses = 0
        database.live.add_dedicated(self)

    @property
    def is_open(self) -> bool:
        return self._driver is not None

    def close_idle(self) -> bool:
        """See `db.postgres.live.DedicatedConnection`."""
        if self._uses or self._driver is None:
            return False
        self.close()
        return True

    async def use(self, work: Callable[[Any], Awaitable[Result]]) -> Result:
        """Call a function with the connection. Raises Unavailable, and `STATEMENT_ERRORS`."""
        self._uses += 1
        try:
            if self._driver is not None and self._driver.is_closed():
                self.close()
            driver = self._driver or await self._open()
            if self._generic_plan:
                await self._plan_again(driver)
            return await work(driver)
        except STATEMENT_ERRORS:
            raise
        except BaseException as error:
            self.close()
            if self._database.handle_error(error):
                raise Unavailable("The database is not available; try again soon.") from error
            raise
        finally:
            self._uses -= 1

    async def read(self, work: Callable[[Any], Awaitable[Result]]) -> Result:
        """As `use`, but try again if the connection died while it was idle. `work` may run twice.

        Raises Unavailable.
        """
        was_open = self.is_open
        try:
            try:
                return await self.use(work)
            except Unavailable as error:
                if not was_open or isinstance(error.__cause__, TimeoutError):
                    raise
            return await self.use(work)
        except STATEMENT_ERRORS as error:
            if is_transient(error):
                raise Unavailable("The database is not available; try again soon.") from error
            raise

    async def _open(self) -> Any:
        driver = self._driver = await self._database.connection()
        if self._generic_plan:
            # Else PostgreSQL may plan again for each execution, if some values look cheaper.
            await driver.execute(GENERIC_PLAN, timeout=PROBE_SECONDS)
        return driver

    async def _plan_again(self, driver: Any) -> None:
        """Discard old plans. The plan for a small table is a full scan, even when it has grown."""
        now = time.monotonic()
        if now > self._planned_at + PLAN_SECONDS:
            self._planned_at = now
            await driver.execute("DISCARD PLANS", timeout=PROBE_SECONDS)

    async def fetch(self, driver: Any, query: str, *values: Any, seconds: float) -> Sequence[Any]:
        """Return the rows of a statement. It is prepared once and then cached by its text."""
        with statement_hook.around(query):
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
    """At most `size` connections. The last used one is used first, so the others stay closed."""

    def __init__(self, database: Database, size: int) -> None:
        self._free = [DedicatedConnection(database) for _ in range(size)]
        self._all = tuple(self._free)
        self._slots = asyncio.Semaphore(size)

    async def read(self, work: Callable[[Any], Awaitable[Result]]) -> Result:
        """As `DedicatedConnection.read`, but raises Overloaded if none is free in time."""
        try:
            async with asyncio.timeout(POOL_WAIT_SECONDS):
                await self._slots.acquire()
        except TimeoutError:
            raise Overloaded("The server is overloaded: try again soon.") from None
        connection = self._free.pop()
        try:
            return await connection.read(work)
        finally:
            self._free.append(connection)
            self._slots.release()

    def close(self) -> None:
        for connection in self._all:
            connection.close()
