"""Passes the rows of a batch to a statement as one JSON parameter."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import orjson

TYPES = {
    str: "text",
    int: "bigint",
    float: "float8",
    bool: "boolean",
    bytes: "bytea",
    datetime: "timestamptz",
    list[str]: "text[]",
    dict[str, Any]: "jsonb",
}


def given(kind: type) -> str:
    """Return SQL that reads parameter 1 as a table `given`, with a column per dataclass field."""
    hints = get_type_hints(kind)
    columns = ", ".join(f"{field.name} {_type(hints[field.name])}" for field in fields(kind))
    return f"jsonb_to_recordset($1::jsonb) AS given ({columns})"


def encode(rows: Sequence[Any]) -> str:
    return orjson.dumps(rows, default=_bytes).decode()


def _type(hint: Any) -> str:
    if get_origin(hint) in (Union, UnionType):
        [hint] = [each for each in get_args(hint) if each is not type(None)]
    return TYPES[hint]


def _bytes(value: Any) -> str:
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    raise TypeError(type(value))
