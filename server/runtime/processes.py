"""Several processes that serve one port; each is a server of its own on the same database."""

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess

from server.runtime.stopping import FORCE_SECONDS

log = logging.getLogger("rollcall.workers")

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 15.0
# A worker that has lived so long began well.
STEADY_SECONDS = 10.0
# A little longer than a server takes to stop, in an orderly way or by force.
STOP_SECONDS = FORCE_SECONDS + 0.2

STOPPING = [
    getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)
]


# The exit status of a worker that can't start (EX_CONFIG of sysexits.h).
CANT_START = 78


class CantStart(Exception):
    """Waiting does not help; the text is one line that says what to do."""


class _Stop(BaseException):
    """Somebody wants us to end."""


class ProcessPool:
    """`serve` is called in each of the processes, with its number from 0 on, and whether it is the
    first of that number; one that ends is replaced by another. It returns why it can't start, in
    one line, or None. `drain_seconds`: as for `Stop`.
    """

    def __init__(
        self, count: int, serve: Callable[[int, bool], str | None], drain_seconds: float = 0
    ) -> None:
        self._count = count
        self._serve = serve
        self._stop_seconds = drain_seconds + STOP_SECONDS
        self._fork = multiprocessing.get_context("fork")
        self._running: dict[int, ForkProcess] = {}
        self._began: dict[int, float] = {}
        self._replaced: set[int] = set()
        self._reasons = self._fork.SimpleQueue()
        # Nobody writes to it: it ends with this process.
        self._alive, self._life = os.pipe()

    def run(self) -> None:
        """Until a signal says so. All of them have ended then.

        Raises CantStart if one of the first says so.
        """
        for each in STOPPING:
            signal.signal(each, _stop)
        try:
            for number in range(self._count):
                self._start(number)
            self._replace_those_that_end()
        except _Stop:
            pass
        finally:
            for each in STOPPING:
                signal.signal(each, signal.SIG_IGN)
            self._end_all()

    def _replace_those_that_end(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            wait([process.sentinel for process in self._running.values()])
            for number, process in list(self._running.items()):
                if process.is_alive():
                    continue
                self._look_at(number, process.exitcode)
                steady = time.monotonic() > self._began[number] + STEADY_SECONDS
                pause = FIRST_PAUSE_SECONDS if steady else min(pause * 2, LONGEST_PAUSE_SECONDS)
                time.sleep(pause)
                self._start(number)

    def _look_at(self, number: int, code: int | None) -> None:
        """Raises CantStart."""
        reason = self._reasons.get() if code == CANT_START else f"status {code}"
        if code == CANT_START and number not in self._replaced:
            raise CantStart(reason)
        self._replaced.add(number)
        log.error("Worker %d has ended, another takes its place: %s", number, reason)

    def _start(self, number: int) -> None:
        # Not daemonic: that would be ended without a chance to stop in an orderly way.
        first = number not in self._running
        process = self._fork.Process(
            target=self._work, args=(number, first), name=f"worker {number}"
        )
        process.start()
        self._running[number], self._began[number] = process, time.monotonic()

    def _work(self, number: int, first: bool) -> None:
        for each in STOPPING:
            signal.signal(each, signal.SIG_DFL)
        os.close(self._life)
        threading.Thread(target=self._end_with_parent, daemon=True).start()
        if reason := self._serve(number, first):
            self._reasons.put(reason)
            sys.exit(CANT_START)

    def _end_with_parent(self) -> None:
        os.read(self._alive, 1)
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
