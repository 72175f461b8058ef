"""Starts and stops the embedded PostgreSQL.

Several processes may share one server. Each holds a shared lock on a file. A process that can get
the exclusive lock is the last one, and stops the server.
"""

import fcntl
import logging
import os
import signal
import threading
import time
from pathlib import Path

from db.embedded.data_folder import DataFolder
from db.embedded.failures import PostgresFailed, from_os_error
from db.embedded.locks import POLL_SECONDS, acquire, locked, open_lock, try_acquire
from db.embedded.postmaster import LaunchedServer, Postmaster, find_postmaster, launch
from db.embedded.socket_folder import remove_socket
from db.embedded.system_user import user_for

# Without the time to create a data folder.
START_SECONDS = 9.0
STOP_SECONDS = 4.0

log = logging.getLogger("rollcall.database")


class EmbeddedPostgres:
    """An embedded server. `start()` also works if it runs already or has crashed."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir.expanduser().resolve()
        self._folder = DataFolder(self.data_dir / "postgres")
        self._lock: int | None = None
        self._one_at_a_time = threading.Lock()
        self._stopping = threading.Event()

    @property
    def exists(self) -> bool:
        """True if there is a database. `start()` creates one. Raises PostgresFailed."""
        try:
            return self._folder.exists
        except OSError as error:
            raise from_os_error(error, self.data_dir) from error

    @property
    def running(self) -> bool:
        return self._find() is not None

    @property
    def pid(self) -> int:
        found = self._find()
        assert found is not None  # noqa: S101
        return found.pid

    def _find(self) -> Postmaster | None:
        try:
            return find_postmaster(self._folder.path)
        except (PostgresFailed, OSError):
            return None

    def start(self) -> str:
        """Start the server if it does not run, and return its URL.

        Blocks for about a second, at most ten; longer if it creates a new database. Raises
        PostgresFailed if it can't be used now, PostgresUnusable for a permanent error. Call
        `stop()` after these errors, too.
        """
        with self._one_at_a_time:
            self._stopping.clear()
            try:
                return self._start()
            except OSError as error:
                raise from_os_error(error, self.data_dir) from error

    def _start(self) -> str:
        deadline = time.monotonic() + START_SECONDS
        self._acquire_lock(deadline)
        with locked(self.data_dir, deadline, self._wait) as lock:
            self._folder.check()
            if not self._folder.exists:
                self._folder.make(user_for(self._folder.path), lock, self._wait)
                deadline = time.monotonic() + START_SECONDS
            return self._wait_until_ready(deadline).url

    def _wait_until_ready(self, deadline: float) -> Postmaster:
        """Start the server if it does not run. Raises PostgresFailed if it is not ready in time."""
        launched: LaunchedServer | None = None
        while True:
            found = find_postmaster(self._folder.path)
            if found and found.ready:
                found.ping()
                return found
            if launched:
                launched.check()
            elif found is None:
                launched = self._launch()
            if time.monotonic() > deadline:
                raise _not_ready(found, self._folder.path)
            self._wait(POLL_SECONDS)

    def _launch(self) -> LaunchedServer:
        user = user_for(self._folder.path)
        self._folder.check_owner(user)
        return launch(self._folder.path, user)

    def _wait(self, seconds: float) -> None:
        if self._stopping.wait(seconds):
            raise PostgresFailed("PostgreSQL is not started, because Rollcall stops.")

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Stop the server, unless another process still uses it. Blocks for at most `seconds`.

        A server that has not ended by then ends later by itself.
        """
        deadline = time.monotonic() + seconds
        self._stopping.set()
        if not self._one_at_a_time.acquire(timeout=seconds):
            log.warning(
                "PostgreSQL in %s is not stopped, because it is just starting.", self.data_dir
            )
            return
        try:
            if self._lock is not None and try_acquire(self._lock, fcntl.LOCK_EX):
                self._end(deadline)
        except (PostgresFailed, OSError) as error:
            log.warning("PostgreSQL in %s could not be stopped: %s", self.data_dir, error)
        finally:
            self._release()
            self._one_at_a_time.release()

    def _end(self, deadline: float) -> None:
        found = find_postmaster(self._folder.path)
        if found is None:
            return
        found.send(signal.SIGINT)
        while found.running:
            if time.monotonic() > deadline:
                log.warning(
                    "PostgreSQL (process %d) in %s has not ended yet. It ends by itself later.",
                    found.pid,
                    self.data_dir,
                )
                return
            time.sleep(POLL_SECONDS)
        found.reap(max(deadline - time.monotonic(), 0))
        remove_socket(self._folder.path, found.file)

    def _acquire_lock(self, deadline: float) -> None:
        if self._lock is not None:
            return
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._folder.path.mkdir(mode=0o700, exist_ok=True)
        self._lock = open_lock(self.data_dir / "postgres.lock")
        try:
            acquire(self._lock, fcntl.LOCK_SH, deadline, self._wait)
        except BaseException:
            self._release()
            raise

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _not_ready(found: Postmaster | None, folder: Path) -> PostgresFailed:
    if found is None:
        return PostgresFailed(f"PostgreSQL does not start. Its log is {folder / 'log'}.")
    if found.stopping:
        return PostgresFailed(
            f"PostgreSQL (process {found.pid}) is stopping. Rollcall starts it again after that."
        )
    return PostgresFailed(
        f"PostgreSQL (process {found.pid}) is starting: after a crash it recovers first, which "
        "takes a while."
    )
