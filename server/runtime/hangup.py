"""SIGHUP: an operator asks for a reload, or the terminal was closed."""

import os
import signal
from collections.abc import Callable

TERMINAL = "/dev/tty"
# Windows has no SIGHUP.
ON = hasattr(signal, "SIGHUP")


class Hangup:
    """Handles SIGHUP from `catch` on. After a closed terminal, it raises SIGTERM instead.

    By default, a closed terminal would end this process and leave PostgreSQL running. Under nohup,
    which ignores SIGHUP, the server outlives its terminal.
    """

    def __init__(self) -> None:
        """Create it before SIGHUP is handled."""
        self._requested = False
        self._on_request: Callable[[], object] | None = None
        ignored = ON and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        self._stops_with_terminal = not ignored and _has_terminal()

    def catch(self, on_request: Callable[[], object] | None = None) -> None:
        """`on_request`: called by the signal handler for each request for a reload."""
        self._on_request = on_request
        if ON:
            signal.signal(signal.SIGHUP, self._caught)

    def take(self) -> bool:
        """Return whether a reload was requested since the last call."""
        requested, self._requested = self._requested, False
        return requested

    def _caught(self, *_: object) -> None:
        if self._stops_with_terminal and not _has_terminal():
            signal.raise_signal(signal.SIGTERM)
            return
        self._requested = True
        if self._on_request:
            self._on_request()


def _has_terminal() -> bool:
    """Return whether this process has a controlling terminal. A closed one is none."""
    try:
        os.close(os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
