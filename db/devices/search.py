"""Free-text search: words of a device's names, found by their beginning."""

import re
from contextlib import suppress
from functools import lru_cache

from sqlalchemy import BindParameter, ColumnElement, cast, func
from sqlalchemy.dialects.postgresql import ARRAY, TSQUERY, TSVECTOR
from sqlalchemy.types import Text

from db.tables.devices import AnyDevice, Device
from domain.devices.identity import device_id, parse_mac
from domain.names import REMEMBERED, name_key

WORD = re.compile(r"\w+")


def words_of(device: Device) -> ColumnElement[TSVECTOR]:
    """What `devices.search` holds."""
    return func.array_to_tsvector(cast(all_words(device), ARRAY(Text)))


def all_words(device: AnyDevice) -> list[str]:
    """Those by which it is found. The parser of `to_tsvector` is of no use here: it reads
    identifiers such as `1e10...` as numbers.
    """
    texts = (
        device.owner.name,
        device.place.name,
        device.measurement_type.name,
        device.sensor_model or "",
        device.firmware or "",
    )
    return sorted({device.id, *(word for text in texts for word in _words(text))})


def search_values(search: str) -> dict[str, str]:
    """What a search asks for, by the parameters' names: `words`, all of which must be there, by
    their beginning; or `of_mac`, the device of a MAC address. Neither, where it has no word.
    """
    values = {}
    if words := _words(search):
        values["words"] = " & ".join(f"'{word}':*" for word in words)
    with suppress(ValueError):
        values["of_mac"] = device_id(parse_mac(search))
    return values


def has_words(words: BindParameter[str]) -> ColumnElement[bool]:
    return Device.search.op("@@")(cast(words, TSQUERY))


@lru_cache(REMEMBERED)
def _words(text: str) -> tuple[str, ...]:
    return tuple(WORD.findall(name_key(text)))
