"""Calls that run one after the other for each key, and at the same time for different keys."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable

from concurrency.tasks import end_all

# Of one key: more than a person asks for while one answer is under way.
MAX_PENDING = 20


class KeyedQueue:
    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._last: dict[Hashable, asyncio.Task[None]] = {}
        self._pending: Counter[Hashable] = Counter()

    def add(self, key: Hashable, call: Callable[[], Awaitable[None]]) -> "asyncio.Task[None]":
        """Call it after those that were added for this key before.

        With MAX_PENDING of them it is dropped, and the task of the last one is returned.
        """
        before = self._last.get(key)
        if before and self._pending[key] >= MAX_PENDING:
            return before
        self._pending[key] += 1
        task = asyncio.create_task(_after(before, call), name=f"queued for {key}")
        self._tasks.add(task)
        self._last[key] = task
        task.add_done_callback(lambda done: self._done(key, done))
        return task

    async def end(self) -> None:
        """Cancel all calls and return when each has ended."""
        await end_all([*self._tasks])

    def _done(self, key: Hashable, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._pending[key] -= 1
        if self._last.get(key) is task:
            del self._last[key], self._pending[key]


async def _after(before: "asyncio.Task[None] | None", call: Callable[[], Awaitable[None]]) -> None:
    if before:
        await asyncio.wait([before])
    await call()
