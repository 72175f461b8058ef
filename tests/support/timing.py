"""Measures the current speed of this machine, to scale time limits of tests.

Tests that would measure the load of other tests are marked `alone`.
"""

import time
from collections.abc import Callable

# Of `_reference` on the machine for which the limits were set, without other load.
REFERENCE_SECONDS = 0.014
ROUNDS = 40_000


def slowness() -> float:
    """Return the factor for limits in CPU time, at least 1."""
    return max(1.0, min(_reference(time.process_time) for _ in range(3)) / REFERENCE_SECONDS)


def delay() -> float:
    """Return the factor for limits in wall-clock time, at least 1. Other load counts, too."""
    return max(1.0, max(_reference(time.monotonic) for _ in range(5)) / REFERENCE_SECONDS)


def _reference(clock: Callable[[], float]) -> float:
    """Return the seconds for typical work of a query: calls, dicts, attributes and strings."""
    started = clock()
    items: dict[str, object] = {}
    for number in range(ROUNDS):
        item = _Item(number)
        items[f"key{number % 100}"] = {"id": item.id, "name": item.name(), "all": [item] * 3}
    assert len(items) == 100
    return clock() - started


class _Item:
    def __init__(self, id: int) -> None:
        self.id = id

    def name(self) -> str:
        return str(self.id)
