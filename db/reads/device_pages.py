"""Pages of devices, without the ORM. SQL is compiled once for each shape of a filter."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Integer, bindparam, text
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.sql.compiler import SQLCompiler

from db.devices.filters import Shape, filter_values, matching, shape_of
from db.paging import Slice, cursor, position
from db.postgres import statement_hook
from db.postgres.connections import ConnectionPool
from db.postgres.database import Database
from db.reads.names import load_names
from db.tables.devices import DeviceRow
from domain.access.caller import Scope
from domain.devices.device import COLUMNS, DeviceRecord, NameCache
from domain.devices.inputs import DeviceFilter
from domain.inputs import Page

SELECTED_COLUMNS = [getattr(DeviceRow, column) for column in COLUMNS]
# Compiled statements, until the cache is cleared.
MAX_STATEMENTS = 500


class PageShape(NamedTuple):
    """The cache key of a statement. Its SQL depends on nothing else."""

    filter: Shape
    has_after: bool
    few: bool


class DevicePages:
    def __init__(self, database: Database, names: NameCache) -> None:
        self._pool = ConnectionPool(database, database.sizes.pages)
        self.names = names
        self._dialect = PGDialect_asyncpg()  # type: ignore[no-untyped-call]
        self._statements: dict[PageShape, tuple[str, Sequence[str]]] = {}

    async def page(
        self, scope: Scope, wanted: DeviceFilter, page: Page, *, few: bool
    ) -> Slice[DeviceRecord]:
        """Return devices in the order of registration, which never changes.

        `few`: True if few devices are expected to match. They are then found first and sorted.
        Raises Unavailable, Overloaded, and InputError if `page.after` is not a cursor.
        """
        values = filter_values(scope, wanted)
        shape = PageShape(shape_of(values), page.after is not None, few)
        if page.after is not None:
            values["after"] = position("device", page.after)
        values["limit"] = page.first + 1
        query, names = self._statement(shape)
        arguments = [values[name] for name in names]

        async def read(driver: Any) -> list[DeviceRecord]:
            names = self.names
            with statement_hook.around(query):
                rows = await driver.fetch(query, *arguments)
            await load_names(driver, names, rows)
            return [DeviceRecord(row, names) for row in rows]

        found = await self._pool.read(read)
        return Slice.of(found, page, lambda device: cursor("device", device.number))

    def close(self) -> None:
        self._pool.close()

    def _statement(self, shape: PageShape) -> tuple[str, Sequence[str]]:
        """Return the SQL, and the names of its parameters in their order."""
        cached = self._statements.get(shape)
        if cached is None:
            if len(self._statements) >= MAX_STATEMENTS:
                self._statements.clear()
            cached = self._statements[shape] = self._compile(shape)
        return cached

    def _compile(self, shape: PageShape) -> tuple[str, Sequence[str]]:
        by_number: ColumnElement[int] = DeviceRow.number.expression
        # The planner has no statistics for prefixes of words. For few matches it would scan the
        # index on `number`. The sum prevents that.
        order = by_number + text("0") if shape.few else by_number
        statement = matching(shape.filter).with_only_columns(*SELECTED_COLUMNS).order_by(order)
        if shape.has_after:
            statement = statement.where(DeviceRow.number > bindparam("after", type_=BigInteger))
        compiled = statement.limit(bindparam("limit", type_=Integer)).compile(
            dialect=self._dialect, compile_kwargs={"render_postcompile": True}
        )
        assert isinstance(compiled, SQLCompiler)  # noqa: S101
        return str(compiled), compiled.positiontup or ()
