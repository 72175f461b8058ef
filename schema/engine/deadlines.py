"""How long things may take: one timer for all that are waited for.

A timer for each costs more than a small operation.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")
Key = TypeVar("Key")


class IdleTimer(Generic[Key]):
    """`expired` is told of what was not stopped after so many seconds, or a twentieth more."""

    def __init__(self, seconds: float, expired: Callable[[Key], None]) -> None:
        self.seconds = seconds
        self._expired = expired
        self._waiting: dict[Key, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def start(self, key: Key, loop: asyncio.AbstractEventLoop) -> None:
        """In a running loop, always the same."""
        self._waiting[key] = loop.time() + self.seconds
        if self._timer is None:
            self._timer = loop.call_later(self.seconds / 20, self._look, loop)

    def stop(self, key: Key) -> None:
        """Also for what is not waited for."""
        self._waiting.pop(key, None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        # In the order in which they were started.
        for key, deadline in list(self._waiting.items()):
            if deadline >= now:
                break
            del self._waiting[key]
            self._expired(key)
        self._timer = None
        if self._waiting:
            self._timer = loop.call_later(self.seconds / 20, self._look, loop)


class Deadlines:
    """A task that takes more than so many seconds is cancelled."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._running: IdleTimer[asyncio.Task[Any]] = IdleTimer(seconds, self._cancel)
        self._late: set[asyncio.Task[Any]] = set()

    async def held(self, work: Awaitable[Result]) -> Result:
        """The result. Raises TimeoutError."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        self._running.start(task, task.get_loop())
        try:
            return await work
        except asyncio.CancelledError:
            if task in self._late and task.uncancel() == 0:
                raise TimeoutError from None
            raise
        finally:
            self._running.stop(task)
            self._late.discard(task)

    def _cancel(self, task: asyncio.Task[Any]) -> None:
        self._late.add(task)
        task.cancel()
