"""How fast this machine is just now, so that a promise in milliseconds can be held to.

A test that asks is marked `alone` where other tests beside it would be what it measures.
"""

import time
from collections.abc import Callable

# Of the machine on which the promises were measured, when nothing else ran on it.
QUIET_SECONDS = 0.014
ROUNDS = 40_000


def slowness() -> float:
    """How many times slower it is than that, at least 1: for promises in CPU time."""
    return max(1.0, min(_reference(time.process_time) for _ in range(3)) / QUIET_SECONDS)


def delay() -> float:
    """How many times later things end than on that machine, at least 1: for promises by the clock.

    The time in which other programs have the machine counts, too.
    """
    return max(1.0, max(_reference(time.monotonic) for _ in range(5)) / QUIET_SECONDS)


def _reference(clock: Callable[[], float]) -> float:
    """Seconds for what executing a query is made of: calls, dicts, attributes and strings."""
    started = clock()
    kept: dict[str, object] = {}
    for number in range(ROUNDS):
        item = _Item(number)
        kept[f"key{number % 100}"] = {"id": item.id, "name": item.name(), "all": [item] * 3}
    assert len(kept) == 100
    return clock() - started


class _Item:
    def __init__(self, id: int) -> None:
        self.id = id

    def name(self) -> str:
        return str(self.id)
