"""Gives memory back to the system after many connections were closed."""

import asyncio
import ctypes
import gc
from collections.abc import Callable
from typing import NoReturn

from concurrency.connection_guard import ConnectionGuard

# Seconds between two looks.
LOOK_SECONDS = 5.0
# Closed connections since the last time. Fewer leave little behind.
MIN_CLOSED = 200


async def give_memory_back(guard: ConnectionGuard) -> NoReturn:
    """Run until cancelled.

    What closed connections leave in cycles of objects is collected, and free memory of the C
    library is returned. The C library keeps it otherwise, until the end of the process.
    """
    trim = _malloc_trim()
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        if guard.take_closed() >= MIN_CLOSED:
            # Not a full collection: that takes 100 ms with a full cache of documents.
            gc.collect(1)
            await asyncio.to_thread(trim)


def _malloc_trim() -> Callable[[], object]:
    """Return glibc's malloc_trim; with another C library a function that does nothing."""
    try:
        function = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return lambda: None
    return lambda: function(0)
