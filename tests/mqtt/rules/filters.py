"""A small exhaustive set of topics and filters, and a reference implementation of matching."""

from itertools import product

LEVELS = ("a", "b", "", "$a")
TOPICS = [
    topic
    for depth in (1, 2, 3, 4)
    for levels in product(LEVELS, repeat=depth)
    if (topic := "/".join(levels))
]
FILTERS = [
    "/".join(levels)
    for depth in (1, 2, 3)
    for levels in product((*LEVELS, "+", "#"), repeat=depth)
    if "#" not in levels[:-1] and levels != ("",)
]


def matches(filter: str, topic: str) -> bool:
    """Match level by level (MQTT 3.1.1, section 4.7)."""
    if topic.startswith("$") and filter[0] in "+#":
        return False
    return _match(filter.split("/"), topic.split("/"))


def _match(filter: list[str], topic: list[str]) -> bool:
    if not filter:
        return not topic
    if filter == ["#"]:
        return True
    return bool(topic) and filter[0] in ("+", topic[0]) and _match(filter[1:], topic[1:])


def matched(filter: str) -> frozenset[str]:
    return frozenset(topic for topic in TOPICS if matches(filter, topic))
