"""Logs floods of connections, and gives memory back to the system after them."""

import asyncio
import ctypes
import gc
import logging
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from concurrency.connection_guard import ConnectionGuard

log = logging.getLogger("rollcall.connections")

# Seconds between two looks.
LOOK_SECONDS = 5.0
# Closed connections since the last look. Fewer leave little behind.
MIN_CLOSED = 200
# Growth since the last time. Less is not worth a full collection, which takes up to 150 ms.
MIN_GROWTH = 1.3
STATM = Path("/proc/self/statm")


async def watch_floods(guard: ConnectionGuard) -> NoReturn:
    """Run until cancelled.

    What closed connections leave in cycles of objects is collected, and free memory of the C
    library is returned. The C library keeps it otherwise, until the end of the process.
    """
    trim, lowest = _malloc_trim(), _pages()
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        if refused := guard.take_refused():
            log.warning(
                "%d connections were refused within %.0f s: too many in all or of one address "
                "(ROLLCALL_MAX_CONNECTIONS, ROLLCALL_MAX_CONNECTIONS_PER_ADDRESS), or too much "
                "unfinished input.",
                refused,
                LOOK_SECONDS,
            )
        if guard.take_closed() >= MIN_CLOSED and _pages() > lowest * MIN_GROWTH:
            gc.collect()
            await asyncio.to_thread(trim)
            lowest = _pages()


def _pages() -> int:
    """Return the resident memory of this process in pages; 0 if the system has no /proc."""
    try:
        return int(STATM.read_text().split()[1])
    except OSError:
        return 0


def _malloc_trim() -> Callable[[], object]:
    """Return glibc's malloc_trim; with another C library a function that does nothing."""
    try:
        function = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return lambda: None
    return lambda: function(0)
