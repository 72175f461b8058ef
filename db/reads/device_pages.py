"""Pages of devices: without sessions and objects of the ORM, in SQL that is made once for each
shape of a filter.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Integer, bindparam, text
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.sql.compiler import SQLCompiler

from db.devices.filters import Shape, filter_values, matching, shape_of
from db.paging import Slice, cursor, position
from db.postgres.connections import ConnectionPool
from db.postgres.database import Database
from db.reads.devices import load_names
from db.tables.devices import DeviceRow
from domain.access.caller import Scope
from domain.devices.device import COLUMNS, DeviceRecord, NameCache
from domain.devices.inputs import DeviceFilter
from domain.inputs import Page

VIEW = [getattr(DeviceRow, column) for column in COLUMNS]
MOST_SHAPES = 500


class PageShape(NamedTuple):
    """All that the SQL of a page is made of: so it can't depend on more than its key."""

    filter: Shape
    is_later: bool
    few: bool


class DevicePages:
    def __init__(self, database: Database, names: NameCache) -> None:
        self._lanes = ConnectionPool(database, database.sizes.pages)
        self.names = names
        self._dialect = PGDialect_asyncpg()  # type: ignore[no-untyped-call]
        self._statements: dict[PageShape, tuple[str, Sequence[str]]] = {}

    async def page(
        self, scope: Scope, wanted: DeviceFilter, page: Page, *, few: bool
    ) -> Slice[DeviceRecord]:
        """In the order of registration, which never changes. `few`: not many devices match, so
        that they are found first, and then brought into their order.

        Raises Unavailable, Overloaded, and InputError for a cursor that is none.
        """
        values = filter_values(scope, wanted)
        shape = PageShape(shape_of(values), page.after is not None, few)
        if page.after is not None:
            values["after"] = position("device", page.after)
        values["most"] = page.first + 1
        query, names = self._statement(shape)
        arguments = [values[name] for name in names]

        async def read(driver: Any) -> list[DeviceRecord]:
            names = self.names
            rows = await driver.fetch(query, *arguments)
            await load_names(driver, names, rows)
            return [DeviceRecord(row, names) for row in rows]

        found = await self._lanes.read(read)
        return Slice.of(found, page, lambda device: cursor("device", device.number))

    def close(self) -> None:
        self._lanes.close()

    def _statement(self, shape: PageShape) -> tuple[str, Sequence[str]]:
        """In SQL, with the names of its parameters."""
        known = self._statements.get(shape)
        if known is None:
            if len(self._statements) >= MOST_SHAPES:
                self._statements.clear()
            known = self._statements[shape] = self._made(shape)
        return known

    def _made(self, shape: PageShape) -> tuple[str, Sequence[str]]:
        by_number: ColumnElement[int] = DeviceRow.number.expression
        # The planner does not know how rare the beginning of a word is, and would look for few
        # matches along the whole list: the sum keeps it from that.
        order = by_number + text("0") if shape.few else by_number
        statement = matching(shape.filter).with_only_columns(*VIEW).order_by(order)
        if shape.is_later:
            statement = statement.where(DeviceRow.number > bindparam("after", type_=BigInteger))
        made = statement.limit(bindparam("most", type_=Integer)).compile(
            dialect=self._dialect, compile_kwargs={"render_postcompile": True}
        )
        assert isinstance(made, SQLCompiler)  # noqa: S101
        return str(made), made.positiontup or ()
