"""Free-text search: words of a device's names, found by their beginning."""

import re
from functools import lru_cache

from sqlalchemy import ColumnElement, cast, false, func, or_
from sqlalchemy.dialects.postgresql import ARRAY, TSQUERY, TSVECTOR
from sqlalchemy.types import Text

from db.device_view import AnyDevice
from db.tables import Device
from domain.identity import device_id, parse_mac
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


def matches(search: str) -> ColumnElement[bool]:
    """Every word must be there; a MAC address finds its device."""
    words = list(_words(search))
    by_words: ColumnElement[bool] = false()
    if words:
        query = " & ".join(f"'{word}':*" for word in words)
        by_words = Device.search.op("@@")(cast(query, TSQUERY))
    try:
        return or_(by_words, Device.id == device_id(parse_mac(search)))
    except ValueError:
        return by_words


@lru_cache(REMEMBERED)
def _words(text: str) -> tuple[str, ...]:
    return tuple(WORD.findall(name_key(text)))
