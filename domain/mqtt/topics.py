"""MQTT topic names (MQTT 3.1.1, section 4.7) of a device."""

from collections.abc import Iterable
from typing import NamedTuple

MAX_BASE_TOPIC_BYTES = 131


class Topics(NamedTuple):
    """The topics that a device publishes and subscribes to.

    `data`: measurements, device to server. `config`: retained, server to device. `state`: which
    config the device has applied, retained. `status`: `online` or, as last will, `offline`.
    `listen`: filters of other devices' measurements that this device subscribes to.
    """

    data: str
    config: str
    state: str
    status: str
    listen: tuple[str, ...] = ()


def base_topic(owner: str, place: str, measurement_type: str, device_id: str) -> str:
    """`owner/location/measurement_type/device_id`, of slugs, up to `MAX_BASE_TOPIC_BYTES`."""
    return f"{owner}/{place}/{measurement_type}/{device_id}"


def same_owner(topic: str, other: str) -> bool:
    return topic.partition("/")[0] == other.partition("/")[0]


def config_topic(base: str) -> str:
    return f"{base}/config"


def topics_of(base: str) -> Topics:
    return topics_with_filters(base, ())


def topics_with_filters(base: str, listen: Iterable[str]) -> Topics:
    """Return a device's topics. `listen`: the filters of its links."""
    return Topics(base, config_topic(base), f"{base}/state", f"{base}/status", tuple(listen))


def selector(owner: str, place: str | None = None, measurement_type: str | None = None) -> str:
    """Return a filter for the base topics of an owner's devices, optionally of a place or type.

    It has four levels, so it never matches the topics below a base topic.
    """
    return f"{owner}/{place or '+'}/{measurement_type or '+'}/+"


def covers(wide: str, narrow: str) -> bool:
    """Return whether `wide`, a filter, matches every topic that `narrow` matches.

    `narrow` is a filter or a topic name. MQTT 3.1.1, section 4.7: `+` matches one level, `#` at the
    end any number of levels, also none. A wildcard at the beginning matches no topic that begins
    with `$`.
    """
    if narrow[:1] == "$" and wide[:1] in ("+", "#"):
        return False
    wide_levels, narrow_levels = wide.split("/"), narrow.split("/")
    for index, level in enumerate(wide_levels):
        if level == "#":
            return True
        if index == len(narrow_levels) or narrow_levels[index] == "#":
            return False
        if level not in ("+", narrow_levels[index]):
            return False
    return len(wide_levels) == len(narrow_levels)


def is_filter(text: str) -> bool:
    """Return whether the text is a valid topic filter or name (MQTT 3.1.1, section 4.7.1)."""
    levels = text.split("/")
    wildcards = any(len(level) > 1 and ("+" in level or "#" in level) for level in levels)
    return bool(text) and "\0" not in text and not wildcards and "#" not in levels[:-1]


def minimal_filters(filters: Iterable[str]) -> tuple[str, ...]:
    """Return the filters that no other one covers, sorted."""
    distinct = sorted(set(filters))
    return tuple(
        one
        for one in distinct
        if not any(other != one and covers(other, one) for other in distinct)
    )
