"""MQTT topic names (MQTT 3.1.1, section 4.7) of a device."""

from collections.abc import Iterable
from typing import NamedTuple

LONGEST_BASE = 131


class Topics(NamedTuple):
    """Where a device publishes and what it subscribes to.

    `data`: measurements, device to server. `config`: retained, server to device. `state`: which
    config the device has applied, retained. `status`: `online` or, as last will, `offline`.
    `listen`: filters of other devices' measurements that this one hears.
    """

    data: str
    config: str
    state: str
    status: str
    listen: tuple[str, ...] = ()


def base_topic(owner: str, place: str, measurement_type: str, device_id: str) -> str:
    """`owner/location/measurement_type/device_id`, of slugs; at most `LONGEST_BASE` bytes."""
    return f"{owner}/{place}/{measurement_type}/{device_id}"


def same_owner(topic: str, other: str) -> bool:
    return topic.partition("/")[0] == other.partition("/")[0]


def config_topic(base: str) -> str:
    return f"{base}/config"


def topics_of(base: str) -> Topics:
    return topics_with_filters(base, ())


def topics_with_filters(base: str, listen: Iterable[str]) -> Topics:
    """The topics of a device that hears others."""
    return Topics(base, config_topic(base), f"{base}/state", f"{base}/status", tuple(listen))


def selector(owner: str, place: str | None = None, measurement_type: str | None = None) -> str:
    """The filter of the base topics of an owner's devices, by place, by type, by both or neither.

    It has four levels: the leaves below a base topic never match.
    """
    return f"{owner}/{place or '+'}/{measurement_type or '+'}/+"


def covers(wide: str, narrow: str) -> bool:
    """Whether a filter matches every topic that another filter, or topic name, matches.

    MQTT 3.1.1, section 4.7: `+` is one level, `#` at the end any number of them, also none. A
    wildcard at the beginning matches no topic that begins with `$`.
    """
    if narrow[:1] == "$" and wide[:1] in ("+", "#"):
        return False
    ours, theirs = wide.split("/"), narrow.split("/")
    for level, wanted in enumerate(ours):
        if wanted == "#":
            return True
        if level == len(theirs) or theirs[level] == "#":
            return False
        if wanted not in ("+", theirs[level]):
            return False
    return len(ours) == len(theirs)


def is_filter(text: str) -> bool:
    """Whether it is a valid topic filter, or topic name (MQTT 3.1.1, section 4.7.1)."""
    levels = text.split("/")
    wildcards = any(len(level) > 1 and ("+" in level or "#" in level) for level in levels)
    return bool(text) and "\0" not in text and not wildcards and "#" not in levels[:-1]


def minimal_filters(filters: Iterable[str]) -> tuple[str, ...]:
    """The fewest of the filters that match all that the others match, in a stable order."""
    distinct = sorted(set(filters))
    return tuple(
        one
        for one in distinct
        if not any(other != one and covers(other, one) for other in distinct)
    )
