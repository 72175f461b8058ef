"""Reads keys that are requested concurrently in one statement.

Keys that arrive while a statement runs are collected for the next one. An idle server therefore
answers without delay, and under load more keys share the cost of a statement.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, ClassVar, Generic, TypeVar

from domain.errors import Overloaded

# Requests in the queue of one batcher.
MAX_WAITING = 20_000

# The requests that the running batch serves, as `Batcher.current_request` has returned them.
batch_requests: ContextVar[Sequence[Any]] = ContextVar("batch_requests", default=())

Key = TypeVar("Key")
Value = TypeVar("Value")


class Batcher(Generic[Key, Value]):
    """Belongs to one event loop. A key without a value gives None.

    `fetches`: each reads the values of up to `max_batch` keys, one batch at a time. Idle ones share
    the waiting keys, with at least `min_batch` for each: so the results of one can be sent while
    another one still runs.
    """

    # Set while requests are traced. None: the current request is not traced.
    current_request: ClassVar[Callable[[], Any] | None] = None

    def __init__(
        self,
        fetches: Sequence[Callable[[Sequence[Key]], Awaitable[Mapping[Key, Value]]]],
        max_batch: int,
        min_batch: int | None = None,
    ) -> None:
        self._idle = list(fetches)
        self._max_batch = max_batch
        self._min_batch = min_batch or max_batch
        self._waiting: dict[Key, list[asyncio.Future[Value | None]]] = {}
        self._requests: dict[Key, list[Any]] = {}
        self._count = 0
        self._scheduled = False
        # Cached: in Python 3.11, asyncio.get_running_loop() makes a system call.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running: set[asyncio.Task[None]] = set()

    def get(self, key: Key) -> "asyncio.Future[Value | None]":
        """Return a future that gets the value, or the error of the statement.

        Raises Overloaded if MAX_WAITING requests are in the queue.
        """
        if self._count >= MAX_WAITING:
            raise Overloaded("The server is overloaded: try again soon.")
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
        if Batcher.current_request is not None:
            self._note_request(key, Batcher.current_request())
        if not self._scheduled and self._idle:
            self._scheduled = True
            # Deferred to collect all keys of this iteration of the event loop.
            loop.call_soon(self._start)
        return future

    def _note_request(self, key: Key, request: Any) -> None:
        if request is not None:
            self._requests.setdefault(key, []).append(request)

    def _take_requests(self, keys: Iterable[Key]) -> Sequence[Any]:
        """Return the traced requests for these keys, and forget them."""
        if Batcher.current_request is None:
            return ()
        found = (self._requests.pop(key, ()) for key in keys)
        return [request for requests in found for request in requests]

    def _start(self) -> None:
        self._scheduled = False
        while self._waiting and self._idle:
            share = -(-len(self._waiting) // len(self._idle))
            batch = self._next_batch(min(self._max_batch, max(share, self._min_batch)))
            requests = self._take_requests(batch)
            task = asyncio.create_task(self._run(self._idle.pop(), batch, requests))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def _next_batch(self, limit: int) -> dict[Key, list[asyncio.Future[Value | None]]]:
        if len(self._waiting) <= limit:
            batch, self._waiting = self._waiting, {}
        else:
            keys = list(self._waiting)[:limit]
            batch = {key: self._waiting.pop(key) for key in keys}
        self._count -= sum(map(len, batch.values()))
        return batch

    async def _run(
        self,
        fetch: Callable[[Sequence[Key]], Awaitable[Mapping[Key, Value]]],
        batch: dict[Key, list[asyncio.Future[Value | None]]],
        requests: Sequence[Any],
    ) -> None:
        batch_requests.set(requests)
        try:
            values = await fetch(list(batch))
        except BaseException as error:
            for futures in batch.values():
                for future in futures:
                    if not future.done():
                        future.set_exception(error)
            if not isinstance(error, Exception):
                raise
        else:
            for key, futures in batch.items():
                value = values.get(key)
                for future in futures:
                    if not future.done():
                        future.set_result(value)
        finally:
            self._idle.append(fetch)
            self._start()
