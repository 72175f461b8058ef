"""Several worker processes on one port. Each is an independent server on the same database."""

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess

from server.runtime.hangup import Hangup
from server.runtime.stopping import FORCE_SECONDS

log = logging.getLogger("rollcall.workers")

# Seconds between the end of a worker and its replacement: doubles up to the longest.
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 15.0
# Seconds. A worker that ran longer resets the pause.
STEADY_SECONDS = 10.0
MAX_WAKES = 1_000
# Seconds. Slightly longer than a forced stop of a server takes.
STOP_SECONDS = FORCE_SECONDS + 0.2

STOPPING = [signal.SIGTERM, signal.SIGINT]

# The exit status of a worker that can't start (EX_CONFIG of sysexits.h).
CANT_START = 78


class StartFailed(Exception):
    """A retry can't succeed. The text is one line that says what to do."""


class _Stop(BaseException):
    """Raised by the signal handler in the parent process."""


class ProcessPool:
    """Forks `count` worker processes, and replaces each one that ends.

    `serve(number, first)` runs in each process. `number` counts from 0; `first` is False in a
    replacement. `serve` returns the reason in one line if the worker can't start, else None.
    `drain_seconds`: as for `Stop`.
    """

    def __init__(
        self, count: int, serve: Callable[[int, bool], str | None], drain_seconds: float = 0
    ) -> None:
        self._count = count
        self._serve = serve
        self._stop_seconds = drain_seconds + STOP_SECONDS
        self._fork = multiprocessing.get_context("fork")
        self._running: dict[int, ForkProcess] = {}
        self._started_at: dict[int, float] = {}
        self._replaced: set[int] = set()
        self._reasons = self._fork.SimpleQueue()
        # Never written to. Workers read the end of file when this process ends.
        self._lifeline_read, self._lifeline_write = os.pipe()
        # Written to by the handler of SIGHUP.
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)

    def run(self, hangup: Hangup, reload: Callable[[], bool]) -> None:
        """Run until a signal, then end all workers. Pass SIGHUP on if `reload` returns True.

        Raises CantStart if a first worker of its number can't start.
        """
        for each in STOPPING:
            signal.signal(each, _stop)
        hangup.catch(self._wake)
        try:
            for number in range(self._count):
                self._start(number)
            self._watch(hangup, reload)
        except _Stop:
            pass
        finally:
            for each in STOPPING:
                signal.signal(each, signal.SIG_IGN)
            self._end_all()

    def _watch(self, hangup: Hangup, reload: Callable[[], bool]) -> None:
        """Replace the workers that end, and pass SIGHUP on."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            sentinels = [process.sentinel for process in self._running.values()]
            if self._wake_read in wait([*sentinels, self._wake_read]):
                os.read(self._wake_read, MAX_WAKES)
            if hangup.take() and reload():
                self._reload_all()
            for number, process in list(self._running.items()):
                if process.is_alive():
                    continue
                self._record_exit(number, process.exitcode)
                steady = time.monotonic() > self._started_at[number] + STEADY_SECONDS
                pause = FIRST_PAUSE_SECONDS if steady else min(pause * 2, LONGEST_PAUSE_SECONDS)
                time.sleep(pause)
                self._start(number)

    def _wake(self) -> None:
        """For the signal handler. A full pipe wakes the process, too."""
        with suppress(BlockingIOError):
            os.write(self._wake_write, b"x")

    def _reload_all(self) -> None:
        for process in self._running.values():
            if process.is_alive() and process.pid:
                os.kill(process.pid, signal.SIGHUP)

    def _record_exit(self, number: int, code: int | None) -> None:
        """Log the exit. Raises CantStart if a first worker can't start."""
        reason = self._reasons.get() if code == CANT_START else f"status {code}"
        if code == CANT_START and number not in self._replaced:
            raise StartFailed(reason)
        self._replaced.add(number)
        log.error("Worker %d has ended, replacing it: %s", number, reason)

    def _start(self, number: int) -> None:
        # Not daemonic: daemonic processes are ended without a graceful stop.
        first = number not in self._running
        process = self._fork.Process(
            target=self._work, args=(number, first), name=f"worker {number}"
        )
        process.start()
        self._running[number], self._started_at[number] = process, time.monotonic()

    def _work(self, number: int, first: bool) -> None:
        for each in STOPPING:
            signal.signal(each, signal.SIG_DFL)
        os.close(self._lifeline_write)
        threading.Thread(target=self._end_with_parent, daemon=True).start()
        if reason := self._serve(number, first):
            self._reasons.put(reason)
            sys.exit(CANT_START)

    def _end_with_parent(self) -> None:
        os.read(self._lifeline_read, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    def _end_all(self) -> None:
        for process in self._running.values():
            process.terminate()
        deadline = time.monotonic() + self._stop_seconds
        for process in self._running.values():
            process.join(max(0, deadline - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()


def _stop(*_: object) -> None:
    raise _Stop
