"""The shutdown of a server: its deadlines, and the forced end after them."""

import asyncio
import faulthandler
import logging
import os
import threading
import time
from collections.abc import Awaitable

log = logging.getLogger("rollcall.server")

# Seconds after SIGTERM and the drain time: the deadline of a graceful stop, and the forced end.
# Together they keep the promise that the process ends within ten seconds.
STOP_SECONDS, FORCE_SECONDS = 9.0, 9.6
# Seconds. The deadline under a server that does not report SIGTERM, such as plain uvicorn.
CLOSE_SECONDS = 4.5


class Stop:
    """The shutdown of one server.

    `drain_seconds`: the server continues to serve for this time while `/readyz` returns 503, so
    that load balancers send requests elsewhere.
    """

    def __init__(self, drain_seconds: float) -> None:
        self._drain_seconds = drain_seconds
        self._at: float | None = None
        self._skip_drain = False

    @property
    def begun(self) -> bool:
        return self._at is not None

    def begin(self) -> None:
        """Start the shutdown. A second call ends the drain time.

        Safe in a signal handler. The process ends at most FORCE_SECONDS after the drain time, even
        if the event loop or a thread is blocked.
        """
        if self._at is not None:
            self._skip_drain = True
            return
        self._at = time.monotonic() + self._drain_seconds + STOP_SECONDS
        threading.Thread(target=self._force, name="stop", daemon=True).start()

    async def drained(self) -> None:
        """Wait until the drain time is over."""
        if self._drain_seconds:
            log.info("Stopping: still serving for %g s.", self._drain_seconds)
        until = time.monotonic() + self._drain_seconds
        while time.monotonic() < until and not self._skip_drain:  # noqa: ASYNC110  set by a signal
            await asyncio.sleep(min(0.1, max(0.0, until - time.monotonic())))

    def begin_closing(self) -> None:
        """Start the shutdown if `begin` was not called, as under plain uvicorn."""
        if self._at is None:
            self._at = time.monotonic() + CLOSE_SECONDS

    @property
    def seconds_left(self) -> float:
        """Seconds left for a graceful stop; at least 0.1."""
        return max(0.1, (self._at or 0.0) - time.monotonic())

    async def within(self, seconds: float, what: str, work: Awaitable[object]) -> None:
        """Wait at most `seconds` for `work`. Then cancel it, without waiting for it to end."""
        task = asyncio.ensure_future(work)
        _, pending = await asyncio.wait({task}, timeout=seconds)
        if pending:
            task.cancel()
            log.warning("Stopping: %s did not end within %.1f s.", what, seconds)
        elif not task.cancelled() and (error := task.exception()):
            log.error("Stopping: %s failed.", what, exc_info=error)

    def _force(self) -> None:
        shortened = False
        end = time.monotonic() + self._drain_seconds + FORCE_SECONDS
        while time.monotonic() < end:
            time.sleep(0.1)
            if self._skip_drain and not shortened:
                shortened = True
                end = min(end, time.monotonic() + FORCE_SECONDS)
        _exit_now()


def _exit_now() -> None:
    """Print the stack of each thread and end the process."""
    log.error("Stopping took longer than %g s: the process ends now.", FORCE_SECONDS)
    faulthandler.dump_traceback(all_threads=True)
    os._exit(1)
