"""Conditional writes of many requests at once: each batch is one statement, and one commit."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from concurrency.batcher import Batcher
from db.postgres.connections import MISTAKES, DedicatedConnection
from db.postgres.database import RECORDED, Database
from db.writes.given import encoded, given

MOST, LEAST = 200, 8
SECONDS = 30
SKIP_LOCKED = " SKIP LOCKED"


class Row(Protocol):
    """A dataclass whose fields are the columns of the statement's table `given`."""

    __slots__ = ()

    @property
    def id(self) -> str: ...


Write = TypeVar("Write", bound=Row)


class BatchWriter(Generic[Write]):
    """`statement` reads the rows from `{given}`; its parameters from 2 on are the `same` for all.
    It locks devices with SKIP LOCKED, and answers with the id, and one value, of each row that it
    has written.
    """

    def __init__(self, database: Database, statement: str, kind: type[Write], *same: Any) -> None:
        statement = statement.replace("{given}", given(kind))
        self._in_turn = statement.replace(SKIP_LOCKED, "")
        self._same = same
        connections = range(database.sizes.commits)
        self._connections = [_Connection(database, statement, same) for _ in connections]
        self.batcher: Batcher[Write, Any] = Batcher(
            [c.write for c in self._connections], MOST, LEAST
        )

    def submit(self, write: Write) -> "asyncio.Future[Any | None]":
        """Its value, once it is committed; None after a conflict: the guard does not hold, another
        transaction has the row locked, or another write of the same id came before it.

        Raises Unavailable and Overloaded, as the future does.
        """
        return self.batcher.get(write)

    async def write_in(self, session: AsyncSession, write: Write) -> Any | None:
        """As `submit`, in a transaction, after others that have the row locked."""
        connection = await session.connection()
        values = (encoded([write]), *self._same)
        row: Any = (await connection.exec_driver_sql(self._in_turn, values)).first()
        if row is None:
            return None
        session.info[RECORDED] = True
        return row[1]

    def close(self) -> None:
        for connection in self._connections:
            connection.close()


class _Connection(DedicatedConnection):
    def __init__(self, database: Database, statement: str, same: Sequence[Any]) -> None:
        super().__init__(database, planned_once=True)
        self._recorded = database.recorded
        self._statement = statement
        self._same = same

    async def write(self, rows: Sequence[Write]) -> Mapping[Write, Any]:
        by_id: dict[str, Write] = {}
        for row in rows:
            by_id.setdefault(row.id, row)
        written = await self._write(list(by_id.values()))
        if written:
            self._recorded.set()
        return {by_id[id]: value for id, value in written.items()}

    async def _write(self, rows: Sequence[Write]) -> Mapping[str, Any]:
        """One bad row does not fail its neighbours: then they go one by one."""
        try:
            return await self._write_all(rows)
        except MISTAKES:
            if len(rows) == 1:
                return {}
        written: dict[str, Any] = {}
        for row in rows:
            written |= await self._write([row])
        return written

    async def _write_all(self, rows: Sequence[Write]) -> Mapping[str, Any]:
        payload = encoded(rows)

        async def run(driver: Any) -> Sequence[Any]:
            return await self.fetch(driver, self._statement, payload, *self._same, seconds=SECONDS)

        return {row[0]: row[1] for row in await self.use(run)}
