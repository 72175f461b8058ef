"""Rows of many requests at once: each batch is one statement, and one commit."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from concurrency.batcher import Merged
from db.postgres.connections import MISTAKES, Lane
from db.postgres.database import Database

MOST, LEAST = 200, 8
SECONDS = 30


class Given(Protocol):
    """A dataclass whose fields are the statement's first parameters, each as an array."""

    __slots__ = ()

    @property
    def id(self) -> str: ...


Row = TypeVar("Row", bound=Given)


class GroupCommit(Generic[Row]):
    """`statement` takes rows of one kind, then the `same` for all of them. It answers with the id,
    and one value, of each row that it has taken.
    """

    def __init__(self, database: Database, statement: str, kind: type[Row], *same: Any) -> None:
        lanes = range(database.sizes.commits)
        self._lanes = [_Committing(database, statement, kind, same) for _ in lanes]
        self.merged: Merged[Row, Any] = Merged([lane.commit for lane in self._lanes], MOST, LEAST)

    def add(self, row: Row) -> "asyncio.Future[Any | None]":
        """Its value, once it is committed; None where the statement did not take it, or another
        row of the same id came before it.

        Raises Unavailable and Overloaded, as the future does.
        """
        return self.merged.get(row)

    def close(self) -> None:
        for lane in self._lanes:
            lane.close()


class _Committing(Lane):
    def __init__(
        self, database: Database, statement: str, kind: type[Any], same: Sequence[Any]
    ) -> None:
        super().__init__(database, planned_once=True)
        self._recorded = database.recorded
        self._statement = statement
        self._columns = kind.__slots__
        self._same = same

    async def commit(self, rows: Sequence[Row]) -> Mapping[Row, Any]:
        by_id: dict[str, Row] = {}
        for row in rows:
            by_id.setdefault(row.id, row)
        taken = await self._take(list(by_id.values()))
        if taken:
            self._recorded.set()
        return {by_id[id]: value for id, value in taken.items()}

    async def _take(self, rows: Sequence[Row]) -> Mapping[str, Any]:
        """One bad row does not fail its neighbours: then they go one by one."""
        try:
            return await self._take_all(rows)
        except MISTAKES:
            if len(rows) == 1:
                return {}
        taken: dict[str, Any] = {}
        for row in rows:
            taken |= await self._take([row])
        return taken

    async def _take_all(self, rows: Sequence[Row]) -> Mapping[str, Any]:
        columns = [[getattr(row, name) for row in rows] for name in self._columns]

        async def run(driver: Any) -> Sequence[Any]:
            return await self.fetch(driver, self._statement, *columns, *self._same, seconds=SECONDS)

        return {row[0]: row[1] for row in await self.use(run)}
