"""Conditional writes of many requests. Each batch is one statement and one commit."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from concurrency.batcher import Batcher
from db.postgres.connections import STATEMENT_ERRORS, DedicatedConnection
from db.postgres.database import RECORDED, Database
from db.writes.given import encode, given

# Writes per statement. Idle connections share what is pending, at least `MIN_BATCH` writes each.
MAX_BATCH, MIN_BATCH = 200, 8
TIMEOUT_SECONDS = 30
SKIP_LOCKED = " SKIP LOCKED"


class Row(Protocol):
    """A dataclass. Its fields are the columns of the table `given` in the statement."""

    __slots__ = ()

    @property
    def id(self) -> str: ...


Write = TypeVar("Write", bound=Row)


class BatchWriter(Generic[Write]):
    """Runs one statement for a batch of writes.

    The statement reads the writes from `{given}`; its parameters from 2 on are `constants`. It
    locks devices with SKIP LOCKED, and returns the id and one value of each row that it has
    written.
    """

    def __init__(
        self, database: Database, statement: str, kind: type[Write], *constants: Any
    ) -> None:
        statement = statement.replace("{given}", given(kind))
        self._waiting_statement = statement.replace(SKIP_LOCKED, "")
        self._constants = constants
        connections = range(database.sizes.commits)
        self._connections = [_Connection(database, statement, constants) for _ in connections]
        self.batcher: Batcher[Write, Any] = Batcher(
            [c.write for c in self._connections], MAX_BATCH, MIN_BATCH
        )

    def submit(self, write: Write) -> "asyncio.Future[Any | None]":
        """Return a future with the value of the write after its commit, or None after a conflict.

        A conflict: the guard is false, another transaction has locked the row, or the batch has an
        earlier write of the same id. This method raises Overloaded, the future Unavailable.
        """
        return self.batcher.get(write)

    async def write_in(self, session: AsyncSession, write: Write) -> Any | None:
        """Write in a transaction. Waits for other transactions that have locked the row."""
        connection = await session.connection()
        values = (encode([write]), *self._constants)
        row: Any = (await connection.exec_driver_sql(self._waiting_statement, values)).first()
        if row is None:
            return None
        session.info[RECORDED] = True
        return row[1]

    def close(self) -> None:
        for connection in self._connections:
            connection.close()


class _Connection(DedicatedConnection):
    def __init__(self, database: Database, statement: str, constants: Sequence[Any]) -> None:
        super().__init__(database, generic_plan=True)
        self._recorded = database.recorded
        self._statement = statement
        self._constants = constants

    async def write(self, rows: Sequence[Write]) -> Mapping[Write, Any]:
        by_id: dict[str, Write] = {}
        for row in rows:
            by_id.setdefault(row.id, row)
        written = await self._write(list(by_id.values()))
        if written:
            self._recorded.set()
        return {by_id[id]: value for id, value in written.items()}

    async def _write(self, rows: Sequence[Write]) -> Mapping[str, Any]:
        """Write a batch. If a row is invalid, write the rows one by one, so that only it fails."""
        try:
            return await self._write_all(rows)
        except STATEMENT_ERRORS:
            if len(rows) == 1:
                return {}
        written: dict[str, Any] = {}
        for row in rows:
            written |= await self._write([row])
        return written

    async def _write_all(self, rows: Sequence[Write]) -> Mapping[str, Any]:
        payload = encode(rows)

        async def run(driver: Any) -> Sequence[Any]:
            values = (payload, *self._constants)
            return await self.fetch(driver, self._statement, *values, seconds=TIMEOUT_SECONDS)

        return {row[0]: row[1] for row in await self.use(run)}
