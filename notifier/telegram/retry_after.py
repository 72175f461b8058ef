"""How long Telegram asks to wait, per method or chat."""

import time
from collections.abc import Callable, Hashable

from notifier.channels.channel import RetryLater


class RetryAfter:
    """Uses a monotonic clock, so clock changes have no effect."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[Hashable, float] = {}

    def check(self, key: Hashable) -> None:
        """Raises Later if Telegram asked to wait and the time is not over."""
        seconds = self._until.get(key, 0) - self._clock()
        if seconds > 0:
            raise RetryLater(seconds)
        self._until.pop(key, None)

    def set(self, key: Hashable, seconds: float) -> None:
        now = self._clock()
        self._until = {each: until for each, until in self._until.items() if until > now}
        self._until[key] = now + seconds
