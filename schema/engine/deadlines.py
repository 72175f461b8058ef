"""Deadlines of operations."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from concurrency.idle_timer import IdleTimer

Result = TypeVar("Result")


class Deadlines:
    """Cancels tasks that take more than `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._running: IdleTimer[asyncio.Task[Any]] = IdleTimer(seconds, self._cancel)
        self._overdue: set[asyncio.Task[Any]] = set()

    async def run(self, work: Awaitable[Result]) -> Result:
        """Return the result of `work`. Raises TimeoutError if it takes too long."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        self._running.start(task, task.get_loop())
        try:
            return await work
        except asyncio.CancelledError:
            if task in self._overdue and task.uncancel() == 0:
                raise TimeoutError from None
            raise
        finally:
            self._running.stop(task)
            self._overdue.discard(task)

    def _cancel(self, task: asyncio.Task[Any]) -> None:
        self._overdue.add(task)
        task.cancel()
