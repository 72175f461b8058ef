"""How long Telegram wants to be left alone, by what was asked."""

import time
from collections.abc import Callable, Hashable

from notifier.channels.channel import Later


class RetryAfter:
    """By a steady clock: a jump of the machine's clock changes nothing."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[Hashable, float] = {}

    def check(self, what: Hashable) -> None:
        """Raises Later if Telegram has said so, and the time is not over."""
        left = self._until.get(what, 0) - self._clock()
        if left > 0:
            raise Later(left)
        self._until.pop(what, None)

    def note(self, what: Hashable, seconds: float) -> None:
        now = self._clock()
        self._until = {key: until for key, until in self._until.items() if until > now}
        self._until[what] = now + seconds
