"""Things to be done one after the other for each of many, and at the same time for all of them."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable

MOST_WAITING = 20


class Turns:
    def __init__(self) -> None:
        self._last: dict[Hashable, asyncio.Task[None]] = {}
        self._waiting: dict[Hashable, int] = {}

    def add(self, whose: Hashable, deed: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        """Done after what was added before for the same one. Who has too much waiting is not
        heard.
        """
        before = self._last.get(whose)
        waiting = self._waiting.get(whose, 0)
        if before and waiting >= MOST_WAITING:
            return before
        self._waiting[whose] = waiting + 1
        task = asyncio.create_task(_after(before, deed), name="bot's answer")
        self._last[whose] = task
        task.add_done_callback(lambda done: self._done(whose, done))
        return task

    def cancel(self) -> None:
        for task in self._last.values():
            task.cancel()

    def _done(self, whose: Hashable, task: asyncio.Task[None]) -> None:
        self._waiting[whose] -= 1
        if self._last.get(whose) is task:
            del self._last[whose], self._waiting[whose]


async def _after(before: asyncio.Task[None] | None, deed: Callable[[], Awaitable[None]]) -> None:
    if before:
        await asyncio.wait([before])
    await deed()
