"""The words by which a device is found."""

import re
from functools import lru_cache

from domain.devices.facts import Described
from domain.names import REMEMBERED, name_key

WORD = re.compile(r"\w+")


def all_words(device: Described) -> list[str]:
    """Of its names, model and firmware, and its id.

    The parser of `to_tsvector` is of no use here: it reads identifiers such as `1e10...` as
    numbers.
    """
    texts = (
        device.owner.name,
        device.place.name,
        device.measurement_type.name,
        device.sensor_model or "",
        device.firmware or "",
    )
    return sorted({device.id, *(word for text in texts for word in words_in(text))})


@lru_cache(REMEMBERED)
def words_in(text: str) -> tuple[str, ...]:
    return tuple(WORD.findall(name_key(text)))
