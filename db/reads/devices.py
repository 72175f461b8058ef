"""The names of what devices belong to, by their ids."""

from collections.abc import Mapping, Sequence
from typing import Any

from domain.devices.device import NameCache, NamedRef

SECONDS = 10


async def load_names(driver: Any, names: NameCache, rows: Sequence[Mapping[str, Any]]) -> None:
    """All names that the rows need."""
    for table, missing in zip(NameCache._fields, names.missing(rows), strict=True):
        if missing:
            query = f"SELECT id, name, slug FROM {table} WHERE id = ANY($1::int[])"  # noqa: S608
            known = getattr(names, table)
            for row in await driver.fetch(query, list(missing), timeout=SECONDS):
                known[row["id"]] = NamedRef(*row)
