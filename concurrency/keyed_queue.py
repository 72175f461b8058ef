"""Calls that run one after the other for each key, and at the same time for different keys."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable

from concurrency.tasks import end_all

# Calls for one key: more than a person requests before the first response arrives.
MAX_PENDING = 20


class KeyedQueue:
    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._last: dict[Hashable, asyncio.Task[None]] = {}
        self._pending: Counter[Hashable] = Counter()

    def add(self, key: Hashable, call: Callable[[], Awaitable[None]]) -> "asyncio.Task[None]":
        """Run `call` after all earlier calls for this key.

        If MAX_PENDING calls are pending, `call` is dropped and the task of the last one returned.
        """
        previous = self._last.get(key)
        if previous and self._pending[key] >= MAX_PENDING:
            return previous
        self._pending[key] += 1
        task = asyncio.create_task(_run_after(previous, call), name=f"queued for {key}")
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


async def _run_after(
    previous: "asyncio.Task[None] | None", call: Callable[[], Awaitable[None]]
) -> None:
    if previous:
        await asyncio.wait([previous])
    await call()
