"""How fast this machine is just now, so that a promise in milliseconds can be held to."""

import time

# Of the machine on which the promises were measured, when nothing else ran on it.
QUIET_SECONDS = 0.014
ROUNDS = 40_000


def slowness() -> float:
    """How many times slower it is than that, at least 1. Machines are shared, and slow down."""
    return max(1.0, min(_reference() for _ in range(3)) / QUIET_SECONDS)


def _reference() -> float:
    """CPU seconds for what executing a query is made of: calls, dicts, attributes and strings."""
    started = time.process_time()
    kept: dict[str, object] = {}
    for number in range(ROUNDS):
        item = _Item(number)
        kept[f"key{number % 100}"] = {"id": item.id, "name": item.name(), "all": [item] * 3}
    assert len(kept) == 100
    return time.process_time() - started


class _Item:
    def __init__(self, id: int) -> None:
        self.id = id

    def name(self) -> str:
        return str(self.id)
