"""The stop of a server: how long it may take, and what happens when it takes longer."""

import asyncio
import faulthandler
import logging
import os
import threading
import time
from collections.abc import Awaitable

log = logging.getLogger("rollcall.server")

# From SIGTERM to the end of the process, beside the time to drain: an orderly stop has so long, and
# the process ends by force shortly after.
STOP_SECONDS, FORCE_SECONDS = 9.0, 9.6
# Under a server that does not say when it was asked to stop, such as plain uvicorn.
CLOSE_SECONDS = 4.5


class Stop:
    """Of one server. `drain_seconds`: it goes on serving so long, while `/readyz` says 503, so that
    load balancers send their requests elsewhere.
    """

    def __init__(self, drain_seconds: float) -> None:
        self._drain_seconds = drain_seconds
        self._at: float | None = None
        self._hurry = False

    @property
    def begun(self) -> bool:
        return self._at is not None

    def begin(self) -> None:
        """The process was asked to stop; asked again, it does not drain any longer.

        For a signal handler. The process ends within FORCE_SECONDS after it was drained, even if
        the event loop or a thread is stuck.
        """
        if self._at is not None:
            self._hurry = True
            return
        self._at = time.monotonic() + self._drain_seconds + STOP_SECONDS
        threading.Thread(target=self._force, name="stop", daemon=True).start()

    async def drained(self) -> None:
        """Returns when the time to drain is over."""
        if self._drain_seconds:
            log.info("Stopping: serving for another %g s.", self._drain_seconds)
        until = time.monotonic() + self._drain_seconds
        while time.monotonic() < until and not self._hurry:  # noqa: ASYNC110  a signal sets it
            await asyncio.sleep(min(0.1, max(0.0, until - time.monotonic())))

    def begin_closing(self) -> None:
        """The last moment to begin, for a server that was not told by `begin`."""
        if self._at is None:
            self._at = time.monotonic() + CLOSE_SECONDS

    @property
    def seconds_left(self) -> float:
        """For an orderly stop, at least a tenth."""
        return max(0.1, (self._at or 0.0) - time.monotonic())

    async def within(self, seconds: float, what: str, work: Awaitable[object]) -> None:
        """Wait for it so long at most. What has not ended then is left to the process's end."""
        task = asyncio.ensure_future(work)
        _, pending = await asyncio.wait({task}, timeout=seconds)
        if pending:
            task.cancel()
            log.warning("Stopping: %s did not end within %.1f s.", what, seconds)
        elif not task.cancelled() and (error := task.exception()):
            log.error("Stopping: %s failed.", what, exc_info=error)

    def _force(self) -> None:
        hurried = False
        end = time.monotonic() + self._drain_seconds + FORCE_SECONDS
        while time.monotonic() < end:
            time.sleep(0.1)
            if self._hurry and not hurried:
                hurried = True
                end = min(end, time.monotonic() + FORCE_SECONDS)
        _exit_now()


def _exit_now() -> None:
    """Says where each thread is."""
    log.error("Stopping took longer than %g s: the process ends now.", FORCE_SECONDS)
    faulthandler.dump_traceback(all_threads=True)
    os._exit(1)
