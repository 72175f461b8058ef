"""Rate limiting by token buckets, one for each key."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

from domain.errors import RateLimited

# Keys. The least recently used ones are dropped first.
MAX_KEYS = 10_000


class TokenBucket:
    """Allows `per_minute` uses a minute for each key, and as many at once after an idle minute.

    `what`: the counted uses, for the error message. Only recent keys are stored, so the memory is
    bounded. Each process counts on its own.
    """

    def __init__(
        self, per_minute: int, what: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_minute = per_minute
        self._what = what
        self._clock = clock
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, key: Hashable) -> None:
        """Count one use. Raises RateLimited, with the time of the next attempt, if none is left."""
        now = self._clock()
        left, since = self._buckets.pop(key, (float(self._per_minute), now))
        left = min(self._per_minute, left + (now - since) * self._per_minute / 60)
        allowed = left >= 1
        self._buckets[key] = (left - allowed, now)
        if len(self._buckets) > MAX_KEYS:
            self._buckets.popitem(last=False)
        if not allowed:
            raise RateLimited(
                f"More than {self._per_minute} {self._what} a minute: try again later.",
                math.ceil((1 - left) * 60 / self._per_minute),
            )
