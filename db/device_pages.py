"""Pages of devices: without sessions and objects of the ORM, in SQL that is made once for each
shape of a filter.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Integer, bindparam, text
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.sql.compiler import SQLCompiler

from db.database import Database
from db.device_view import COLUMNS, DeviceView, Names, learn
from db.devices import filter_values, filtered
from db.lane import Lanes
from db.paging import Rows, cursor, position
from db.tables import Device
from domain.access import Scope
from domain.inputs import DeviceFilter, Page

VIEW = [getattr(Device, column) for column in COLUMNS]
MOST_SHAPES = 500

Shape = tuple[bool, ...]


class DevicePages:
    def __init__(self, database: Database, names: Names) -> None:
        self._lanes = Lanes(database, database.sizes.pages)
        self._names = names
        self._dialect = PGDialect_asyncpg()  # type: ignore[no-untyped-call]
        self._statements: dict[Shape, tuple[str, Sequence[str]]] = {}

    async def page(
        self, scope: Scope, wanted: DeviceFilter, page: Page, *, few: bool
    ) -> Rows[DeviceView]:
        """In the order of registration, which never changes. `few`: not many devices match, so
        that they are found first, and then brought into their order.

        Raises Unavailable, Overloaded, and InputError for a cursor that is none.
        """
        values = {
            **filter_values(scope, wanted),
            "after": None if page.after is None else position("device", page.after),
            "most": page.first + 1,
        }
        query, arguments = self._statement(scope, wanted, values, few=few)

        async def read(driver: Any) -> list[DeviceView]:
            rows = await driver.fetch(query, *arguments)
            await learn(driver, self._names, rows)
            return [DeviceView(row, self._names) for row in rows]

        found = await self._lanes.read(read)
        return Rows.of(found, page, lambda device: cursor("device", device.number))

    def close(self) -> None:
        self._lanes.close()

    def _statement(
        self, scope: Scope, wanted: DeviceFilter, values: Mapping[str, Any], *, few: bool
    ) -> tuple[str, Sequence[Any]]:
        """In SQL, with its arguments."""
        shape = (few, *[v if isinstance(v, bool) else v is None for v in values.values()])
        known = self._statements.get(shape)
        if known is None or wanted.search:
            made = self._make(scope, wanted, values, few=few)
            known = str(made), made.positiontup or ()
            values = {**made.params, **values}
            if not wanted.search:
                if len(self._statements) >= MOST_SHAPES:
                    self._statements.clear()
                self._statements[shape] = known
        query, names = known
        return query, [values[name] for name in names]

    def _make(
        self, scope: Scope, wanted: DeviceFilter, values: Mapping[str, Any], *, few: bool
    ) -> SQLCompiler:
        by_number: ColumnElement[int] = Device.number.expression
        # The planner does not know how rare the beginning of a word is, and would look for few
        # matches along the whole list: the sum keeps it from that.
        order = by_number + text("0") if few else by_number
        statement = filtered(scope, wanted).with_only_columns(*VIEW).order_by(order)
        if values["after"] is not None:
            statement = statement.where(Device.number > bindparam("after", type_=BigInteger))
        made = statement.limit(bindparam("most", type_=Integer)).compile(
            dialect=self._dialect, compile_kwargs={"render_postcompile": True}
        )
        assert isinstance(made, SQLCompiler)  # noqa: S101
        return made
