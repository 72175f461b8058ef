"""How long things may take: one timer for all of them."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

Result = TypeVar("Result")


class Deadlines:
    """A task that takes more than so many seconds is cancelled, a twentieth of that later at most.

    asyncio.timeout does the same with a timer for each, which costs more than a small operation.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._running: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def held(self, work: Awaitable[Result]) -> Result:
        """The result. Raises TimeoutError."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        loop = task.get_loop()
        self._running[task] = loop.time() + self.seconds
        if self._timer is None:
            self._timer = loop.call_later(self.seconds / 20, self._look, loop)
        try:
            return await work
        except asyncio.CancelledError:
            if task in self._late and task.uncancel() == 0:
                raise TimeoutError from None
            raise
        finally:
            self._running.pop(task, None)
            self._late.discard(task)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for task, deadline in list(self._running.items()):
            if deadline < now and task not in self._late:
                self._late.add(task)
                task.cancel()
        self._timer = None
        if self._running:
            self._timer = loop.call_later(self.seconds / 20, self._look, loop)
