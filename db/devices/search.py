"""Free-text search: words of a device's names, found by their beginning."""

from contextlib import suppress

from sqlalchemy import BindParameter, ColumnElement, cast, func
from sqlalchemy.dialects.postgresql import ARRAY, TSQUERY, TSVECTOR
from sqlalchemy.types import Text

from db.tables.devices import DeviceRow
from domain.devices.identity import device_id, parse_mac
from domain.devices.search_words import all_words, words_in


def words_of(device: DeviceRow) -> ColumnElement[TSVECTOR]:
    """What `devices.search` holds."""
    return func.array_to_tsvector(cast(all_words(device), ARRAY(Text)))


def search_values(search: str) -> dict[str, str]:
    """What a search asks for, by the parameters' names: `words`, all of which must be there, by
    their beginning; or `of_mac`, the device of a MAC address. Neither, where it has no word.
    """
    values = {}
    if words := words_in(search):
        values["words"] = " & ".join(f"'{word}':*" for word in words)
    with suppress(ValueError):
        values["of_mac"] = device_id(parse_mac(search))
    return values


def has_words(words: BindParameter[str]) -> ColumnElement[bool]:
    return DeviceRow.search.op("@@")(cast(words, TSQUERY))
