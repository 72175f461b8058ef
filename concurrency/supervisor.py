"""Starts background tasks, monitors them, and restarts them when they fail."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from concurrency.backoff import Backoff
from concurrency.tasks import run_together

log = logging.getLogger("rollcall.background")

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 15.0
# Seconds that a restarted task must run to count as running, and as recovered (short pauses again).
STEADY_SECONDS, RECOVERED_SECONDS = 1.0, 30.0


@dataclass(frozen=True, slots=True)
class Background:
    """`run` ends only when it is cancelled. `needed`: the process is not ready without it."""

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
    """Runs the background tasks of one process.

    `is_transient` returns True for errors of the environment, such as an unreachable database. All
    other errors are bugs, and are logged with a traceback.
    """

    def __init__(self, is_transient: Callable[[BaseException], bool]) -> None:
        self._is_transient = is_transient
        self._states: dict[str, _State] = {}

    def expect(self, name: str, *, needed: bool = True) -> None:
        """Count this task as not running until `run` has started it."""
        self._states.setdefault(name, _State(needed))

    @property
    def not_running(self) -> list[str]:
        """Names of the needed tasks that are not running."""
        return [name for name, s in self._states.items() if s.needed and not s.running]

    def counts(self) -> Iterator[tuple[str, bool, int]]:
        """Yield name, whether it is running, and number of failures of each task."""
        for name, state in self._states.items():
            yield name, state.running, state.failures

    async def run(self, *tasks: Background) -> None:
        """Run all tasks until cancelled. A task that fails is restarted after a pause."""
        for task in tasks:
            self.expect(task.name, needed=task.needed)
        await run_together(*(self._run_forever(task) for task in tasks))

    async def _run_forever(self, task: Background) -> None:
        state = self._states[task.name]
        backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        while True:
            state.since = time.monotonic()
            try:
                await task.run()
                log.error("Background task %s has ended; restarting it.", task.name)
            except asyncio.CancelledError:
                # Else something that the task awaits was cancelled, not the task itself.
                if _is_cancelled():
                    raise
                log.exception("Background task %s was cancelled; restarting it.", task.name)
            except Exception as error:  # noqa: BLE001
                self._log(task, error)
            finally:
                ran_seconds = time.monotonic() - state.since
                state.since = None
            if _is_cancelled():
                # The error came from the task's cleanup, or the task swallowed the cancellation.
                raise asyncio.CancelledError
            state.failures += 1
            if ran_seconds > RECOVERED_SECONDS:
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
