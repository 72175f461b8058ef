"""How often somebody may do something: a token bucket for each."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

from domain.errors import RateLimited

KEPT = 10_000


class TokenBucket:
    """So many a minute for each key, and as many at once after a quiet minute.

    It remembers the keys seen last, so its memory is bounded; it is of one process.
    """

    def __init__(
        self, per_minute: int, what: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = per_minute
        self._what = what
        self._clock = clock
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, key: Hashable) -> None:
        """Raises RateLimited, which says when to come again."""
        now = self._clock()
        left, since = self._buckets.pop(key, (float(self._most), now))
        left = min(self._most, left + (now - since) * self._most / 60)
        allowed = left >= 1
        self._buckets[key] = (left - allowed, now)
        if len(self._buckets) > KEPT:
            self._buckets.popitem(last=False)
        if not allowed:
            raise RateLimited(
                f"More than {self._most} {self._what} a minute: come again later.",
                math.ceil((1 - left) * 60 / self._most),
            )
