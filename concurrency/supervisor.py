"""Background tasks: started, watched, restarted when they fail."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from concurrency.backoff import Backoff
from concurrency.tasks import run_together

log = logging.getLogger("rollcall.background")

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 15.0
# Seconds. A restarted task that has lasted so long counts as running, and later as recovered.
STEADY_SECONDS, RECOVERED_SECONDS = 1.0, 30.0


@dataclass(frozen=True, slots=True)
class Background:
    """`run` goes on until it is cancelled. `needed`: the process is not ready without it."""

    name: str
    run: Callable[[], Awaitable[object]]
    needed: bool = True


@dataclass(slots=True)
class _State:
    needed: bool
    failures: int = 0
    since: float | None = None

    @property
    def running(self) -> bool:
        if self.since is None:
            return False
        return not self.failures or time.monotonic() >= self.since + STEADY_SECONDS


class Supervisor:
    """Of one process. `is_transient` tells errors of the surroundings from bugs, which are logged
    with a traceback.
    """

    def __init__(self, is_transient: Callable[[BaseException], bool]) -> None:
        self._is_transient = is_transient
        self._states: dict[str, _State] = {}

    def expect(self, name: str, *, needed: bool = True) -> None:
        """It counts as not running until `run` has started it."""
        self._states.setdefault(name, _State(needed))

    @property
    def not_running(self) -> list[str]:
        """The needed tasks that do not run now."""
        return [name for name, s in self._states.items() if s.needed and not s.running]

    def counts(self) -> Iterator[tuple[str, bool, int]]:
        """Name, whether it runs, and how often it has failed, of each task."""
        for name, state in self._states.items():
            yield name, state.running, state.failures

    async def run(self, *tasks: Background) -> None:
        """Run all until cancelled. A task that fails is restarted after a pause."""
        for task in tasks:
            self.expect(task.name, needed=task.needed)
        await run_together(*(self._keep(task) for task in tasks))

    async def _keep(self, task: Background) -> None:
        state = self._states[task.name]
        backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        while True:
            state.since = time.monotonic()
            try:
                await task.run()
                log.error("Background task %s has ended; restarting it.", task.name)
            except asyncio.CancelledError:
                # Without this it could be a future of its own that was cancelled.
                if _is_cancelled():
                    raise
                log.exception("Background task %s was cancelled; restarting it.", task.name)
            except Exception as error:  # noqa: BLE001
                self._log(task, error)
            finally:
                lasted = time.monotonic() - state.since
                state.since = None
            if _is_cancelled():
                # The error came from its cleanup, or the cancellation was swallowed.
                raise asyncio.CancelledError
            state.failures += 1
            if lasted > RECOVERED_SECONDS:
                backoff.reset()
            await backoff.pause()

    def _log(self, task: Background, error: Exception) -> None:
        if self._is_transient(error):
            log.warning("Background task %s failed; restarting it: %s", task.name, error)
        else:
            log.error("Background task %s failed; restarting it.", task.name, exc_info=error)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
