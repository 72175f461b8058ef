"""Idle timeouts. All keys of an IdleTimer share one asyncio timer.

A timer for each key would cost more than a small operation.
"""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

Key = TypeVar("Key")


class IdleTimer(Generic[Key]):
    """Calls `expired` with each key that is not stopped within `seconds`, up to 5 % late."""

    def __init__(self, seconds: float, expired: Callable[[Key], None]) -> None:
        self.seconds = seconds
        self._expired = expired
        self._deadlines: dict[Key, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def start(self, key: Key, loop: asyncio.AbstractEventLoop) -> None:
        """Start or restart the time of a key. `loop`: running, the same at every call."""
        self._deadlines[key] = loop.time() + self.seconds
        if self._timer is None:
            self._timer = loop.call_later(self.seconds / 20, self._check, loop)

    def stop(self, key: Key) -> None:
        """Stop the time of a key; an unknown key is ignored."""
        self._deadlines.pop(key, None)

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        # Keys are in the order in which they were started.
        for key, deadline in list(self._deadlines.items()):
            if deadline >= now:
                break
            del self._deadlines[key]
            self._expired(key)
        self._timer = None
        if self._deadlines:
            self._timer = loop.call_later(self.seconds / 20, self._check, loop)
