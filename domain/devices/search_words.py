"""Search words of devices."""

import re
from functools import lru_cache

from domain.devices.facts import Described
from domain.names import NAME_CACHE_SIZE, name_key

WORD = re.compile(r"\w+")


def all_words(device: Described) -> list[str]:
    """Return the words of a device's names, sensor model and firmware, and its id.

    PostgreSQL's `to_tsvector` is not used: it parses ids such as `1e10...` as numbers.
    """
    texts = (
        device.owner.name,
        device.place.name,
        device.measurement_type.name,
        device.sensor_model or "",
        device.firmware or "",
    )
    return sorted({device.id, *(word for text in texts for word in words_in(text))})


@lru_cache(NAME_CACHE_SIZE)
def words_in(text: str) -> tuple[str, ...]:
    return tuple(WORD.findall(name_key(text)))
