"""Free-text search by prefixes of the words in a device's names."""

from contextlib import suppress

from sqlalchemy import BindParameter, ColumnElement, cast, func
from sqlalchemy.dialects.postgresql import ARRAY, TSQUERY, TSVECTOR
from sqlalchemy.types import Text

from db.tables.devices import DeviceRow
from domain.devices.identity import device_id, parse_mac
from domain.devices.search_words import all_words, words_in


def words_of(device: DeviceRow) -> ColumnElement[TSVECTOR]:
    """Return the SQL value for `devices.search`."""
    return func.array_to_tsvector(cast(all_words(device), ARRAY(Text)))


def search_values(search: str) -> dict[str, str]:
    """Return the parameters of a search.

    `words`: prefixes that must all match. `of_mac`: the device id, if the text is a MAC address.
    Both are missing if the text has no word.
    """
    values = {}
    if words := words_in(search):
        values["words"] = " & ".join(f"'{word}':*" for word in words)
    with suppress(ValueError):
        values["of_mac"] = device_id(parse_mac(search))
    return values


def has_words(words: BindParameter[str]) -> ColumnElement[bool]:
    return DeviceRow.search.op("@@")(cast(words, TSQUERY))
