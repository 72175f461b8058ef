"""What many ask for at the same time, in one statement.

While a statement runs, keys gather; the next one takes them all. So an idle server answers at once,
and the busier it is, the more keys share the cost of a statement.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

from domain.errors import Overloaded

MOST_WAITING = 20_000

Key = TypeVar("Key")
Value = TypeVar("Value")


class Batcher(Generic[Key, Value]):
    """For one loop. `fetches` read the values of some keys, at most `most` of them, each one thing
    at a time. A key without a value gives None. Where several are free they share what waits, each
    at least `least`: so one has an answer to send while the other still works.
    """

    def __init__(
        self,
        fetches: Sequence[Callable[[Sequence[Key]], Awaitable[Mapping[Key, Value]]]],
        most: int,
        least: int | None = None,
    ) -> None:
        self._free = list(fetches)
        self._most = most
        self._least = least or most
        self._waiting: dict[Key, list[asyncio.Future[Value | None]]] = {}
        self._count = 0
        self._scheduled = False
        # Looking for it is a system call, with Python 3.11.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running: set[asyncio.Task[None]] = set()

    def get(self, key: Key) -> "asyncio.Future[Value | None]":
        """Raises Overloaded where too many wait already; the future raises what `fetch` does."""
        if self._count >= MOST_WAITING:
            raise Overloaded("The server has too much to do; try again soon.")
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        future: asyncio.Future[Value | None] = loop.create_future()
        found = self._waiting.get(key)
        if found is None:
            self._waiting[key] = [future]
        else:
            found.append(future)
        self._count += 1
        if not self._scheduled and self._free:
            self._scheduled = True
            # After all that this turn of the loop brings.
            loop.call_soon(self._start)
        return future

    def _start(self) -> None:
        self._scheduled = False
        while self._waiting and self._free:
            share = -(-len(self._waiting) // len(self._free))
            taken = self._take(min(self._most, max(share, self._least)))
            task = asyncio.create_task(self._run(self._free.pop(), taken))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def _take(self, most: int) -> dict[Key, list[asyncio.Future[Value | None]]]:
        if len(self._waiting) <= most:
            taken, self._waiting = self._waiting, {}
        else:
            keys = list(self._waiting)[:most]
            taken = {key: self._waiting.pop(key) for key in keys}
        self._count -= sum(map(len, taken.values()))
        return taken

    async def _run(
        self,
        fetch: Callable[[Sequence[Key]], Awaitable[Mapping[Key, Value]]],
        taken: dict[Key, list[asyncio.Future[Value | None]]],
    ) -> None:
        try:
            values = await fetch(list(taken))
        except BaseException as error:
            for futures in taken.values():
                for future in futures:
                    if not future.done():
                        future.set_exception(error)
            if not isinstance(error, Exception):
                raise
        else:
            for key, futures in taken.items():
                value = values.get(key)
                for future in futures:
                    if not future.done():
                        future.set_result(value)
        finally:
            self._free.append(fetch)
            self._start()
