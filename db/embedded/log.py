"""PostgreSQL's log, the file `log` in its data folder."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from db.embedded import processes
from db.embedded.failures import PostgresFailed, PostgresUnusable
from db.embedded.system_user import SystemUser

# Bytes of the log that are searched for an error.
MAX_BYTES = 65_536
SEVERITIES = ("FATAL:", "PANIC:")


class Log:
    """`failure` reads only what was written since `opened` was called."""

    def __init__(self, path: Path, user: SystemUser | None) -> None:
        self._path = path
        self._user = user
        self._start = 0

    @contextmanager
    def opened(self) -> Iterator[int]:
        """Open the log for appending.

        Raises PostgresUnusable if another user may have replaced the file.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(self._path, flags, 0o600)
        try:
            self._start = self._check(descriptor)
            os.set_blocking(descriptor, True)
            yield descriptor
        finally:
            os.close(descriptor)

    def _check(self, descriptor: int) -> int:
        """Return the size in bytes."""
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            raise PostgresUnusable(f"{self._path} is a link or not a regular file. Remove it.")
        if self._user:
            os.fchown(descriptor, self._user.uid, self._user.gid)
        return found.st_size

    def failure(self, code: int) -> PostgresFailed:
        """Return an error with the reason why the server ended. `code`: its exit code."""
        severe = [line for line in self._lines() if any(word in line for word in SEVERITIES)]
        reason = severe[-1].split(":  ", 1)[-1] if severe else f"it ended with {code}"
        folder = self._path.parent
        if "shared memory block" in reason and "in use" in reason:
            pids = ", ".join(map(str, processes.server_pids(folder))) or "unknown"
            return PostgresFailed(
                f"Processes of an earlier PostgreSQL still use {folder}: {pids}. They end by "
                "themselves; if they don't, end them with kill -QUIT."
            )
        if "incompatible with server" in reason:
            return PostgresUnusable(f"{folder}: {reason}. Its log is {self._path}.")
        return PostgresFailed(f"PostgreSQL did not start: {reason}. Its log is {self._path}.")

    def _lines(self) -> list[str]:
        with self._path.open("rb") as file:
            file.seek(self._start)
            return os.fsdecode(file.read(MAX_BYTES)).splitlines()
