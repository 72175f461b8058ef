"""Loads the names of owners, places and types by their ids."""

from collections.abc import Mapping, Sequence
from typing import Any

from db.postgres import statement_hook
from domain.devices.device import NameCache, NamedRef

# Of each statement.
TIMEOUT_SECONDS = 10


async def load_names(driver: Any, names: NameCache, rows: Sequence[Mapping[str, Any]]) -> None:
    """Load the names that device rows need and that are not cached yet."""
    for table, missing in zip(NameCache._fields, names.missing(rows), strict=True):
        if missing:
            query = f"SELECT id, name, slug FROM {table} WHERE id = ANY($1::int[])"  # noqa: S608
            cached = getattr(names, table)
            with statement_hook.around(query):
                found = await driver.fetch(query, list(missing), timeout=TIMEOUT_SECONDS)
            for row in found:
                cached[row["id"]] = NamedRef(*row)
