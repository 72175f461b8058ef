"""A connection of one's own, for statements that many requests share."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncpg

from db.database import Database, is_passing
from domain.errors import Unavailable

Result = TypeVar("Result")

# Of the statement, or of what it was given; the connection is as good as before.
MISTAKES = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)


class Lane:
    """Opened when it is used, one use at a time; given up when anything goes wrong with it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._driver: asyncpg.Connection[asyncpg.Record] | None = None

    @property
    def is_open(self) -> bool:
        return self._driver is not None

    async def use(self, work: Callable[[Any], Awaitable[Result]]) -> Result:
        """Raises Unavailable, and `MISTAKES`."""
        try:
            driver = self._driver = self._driver or await self._database.connection()
            return await work(driver)
        except MISTAKES:
            raise
        except BaseException as error:
            self.close()
            # Of a connection that dies, asyncpg says several things.
            if is_passing(error) or isinstance(error, asyncpg.InternalClientError):
                raise Unavailable("The database is not available; try again soon.") from error
            raise

    def close(self) -> None:
        if self._driver:
            self._driver.terminate()
            self._driver = None
