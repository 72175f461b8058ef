"""Long computations in a thread, so that the event loop serves other requests meanwhile."""

import asyncio
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from concurrency.keyed_lock import KeyedLock
from domain.errors import Overloaded

# Calls that run or wait.
MAX_PENDING = 1_000

Result = TypeVar("Result")


class WorkerThread:
    """Runs one call at a time. Callers with different keys take turns, however many calls each has.

    A call that holds the interpreter lock is interrupted by Python after 5 ms.
    """

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._locks = KeyedLock()
        self._pending = 0

    async def run(self, key: Hashable, function: Callable[..., Result], *values: Any) -> Result:
        """Return the function's result or raise its error. Raises Overloaded at MAX_PENDING."""
        if self._pending >= MAX_PENDING:
            raise Overloaded("The server is overloaded: try again soon.")
        self._pending += 1
        try:
            async with self._locks.lock(key):
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._executor, function, *values)
        finally:
            self._pending -= 1
