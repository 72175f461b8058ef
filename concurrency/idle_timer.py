"""Idle timeouts. All keys of an IdleTimer share one asyncio timer.

A timer for each key would cost more than a small operation.
"""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

Key = TypeVar("Key")


class IdleTimer(Generic[Key]):
    """Calls `expired` with each key that is not stopped within `seconds`, up to 5 % late.

    After the event loop was blocked it is up to 10 % late: uvloop runs timers before it handles
    data that arrived meanwhile, which may stop the key.
    """

    def __init__(self, seconds: float, expired: Callable[[Key], None]) -> None:
        self.seconds = seconds
        self._expired = expired
        self._deadlines: dict[Key, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._postponed = False

    def start(self, key: Key, loop: asyncio.AbstractEventLoop) -> None:
        """Start or restart the time of a key. `loop`: running, the same at every call."""
        self._deadlines[key] = loop.time() + self.seconds
        if self._timer is None:
            self._start_timer(loop)

    def stop(self, key: Key) -> None:
        """Stop the time of a key; an unknown key is ignored."""
        self._deadlines.pop(key, None)

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        self._postponed = not self._postponed and now > self._due + self._pause
        if not self._postponed:
            self._expire(now)
        self._timer = None
        if self._deadlines:
            self._start_timer(loop)

    def _expire(self, now: float) -> None:
        # Keys are in the order in which they were started.
        for key, deadline in list(self._deadlines.items()):
            if deadline >= now:
                break
            del self._deadlines[key]
            self._expired(key)

    @property
    def _pause(self) -> float:
        return self.seconds / 20

    def _start_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = loop.time() + self._pause
        self._timer = loop.call_at(self._due, self._check, loop)
