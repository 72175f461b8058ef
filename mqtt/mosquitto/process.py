"""The running Mosquitto that a pid file names. Needs /proc (Linux)."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

COMMAND = "mosquitto"
ROOT = 0
READ, ENTER = 0o4, 0o1
# User and system time: fields of /proc/<pid>/stat after the command's name.
TIMES = slice(11, 13)


class MosquittoProcess:
    """`user`: the uid that it runs as. `groups`: its gids."""

    def __init__(self, pid: int, status: dict[str, str]) -> None:
        self.pid = pid
        self.user = int(status["Uid"].split()[1])
        self.groups = {int(group) for group in status["Groups"].split()}
        self.groups.add(int(status["Gid"].split()[1]))

    @classmethod
    def from_pid_file(cls, pid_file: Path) -> "MosquittoProcess | None":
        """Return None if the file is missing or stale: no Mosquitto runs with this pid.

        Mosquitto writes its pid before it reads its other files. Raises OSError if this process may
        not read the pid file.
        """
        try:
            pid = int(pid_file.read_text())
        except (FileNotFoundError, ValueError):
            return None
        status = _status(pid)
        return cls(pid, status) if _is_mosquitto(status) else None

    def require_readable(self, file: Path) -> None:
        """Raises PermissionError if Mosquitto may not read the file.

        Mosquitto 2.0 lets every client do everything if it can't read its ACL file.
        """
        if not self._may(READ, file) or not all(self._may(ENTER, each) for each in file.parents):
            raise PermissionError(
                f"Mosquitto (process {self.pid}, user {self.user}) could not read files in"
                f" {file.parent}, so they were not replaced. Give this folder Mosquitto's group,"
                " and let that group enter it."
            )

    def reload(self) -> bool:
        """Send SIGHUP. Return whether it was sent: during its start, it would end Mosquitto.

        Raises PermissionError if this process may not send it signals.
        """
        try:
            with _pinned(self.pid) as pidfd:
                # Checked again: the pid may belong to another process by now.
                if not _catches_hangup(_status(self.pid)):
                    return False
                _send_hangup(self.pid, pidfd)
                return True
        except ProcessLookupError:
            return False
        except PermissionError as error:
            raise PermissionError(
                f"The files are written, but Rollcall may not signal Mosquitto (process {self.pid},"
                f" user {self.user}). Run Rollcall as that user, or reload Mosquitto yourself."
            ) from error

    def cpu_seconds(self) -> float:
        """CPU seconds since its start; 0 if it has ended."""
        try:
            line = Path(f"/proc/{self.pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return 0
        used = line.rpartition(")")[2].split()[TIMES]
        return sum(map(int, used)) / os.sysconf("SC_CLK_TCK")

    def _may(self, permission: int, path: Path) -> bool:
        stat = path.stat()
        if stat.st_uid == self.user:
            permission <<= 6
        elif stat.st_gid in self.groups:
            permission <<= 3
        return self.user == ROOT or bool(stat.st_mode & permission)


@contextmanager
def _pinned(pid: int) -> Iterator[int | None]:
    """Open a pidfd, so that no later process with the same pid is signalled.

    It is None if the system has none (seccomp, old kernels). Raises ProcessLookupError if the
    process has ended.
    """
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        raise
    except OSError:
        pidfd = None
    try:
        yield pidfd
    finally:
        if pidfd is not None:
            os.close(pidfd)


def _send_hangup(pid: int, pidfd: int | None) -> None:
    if pidfd is None:
        os.kill(pid, signal.SIGHUP)
    else:
        signal.pidfd_send_signal(pidfd, signal.SIGHUP)


def _catches_hangup(status: dict[str, str]) -> bool:
    caught = int(status.get("SigCgt", "0"), 16)
    return _is_mosquitto(status) and bool(caught >> (signal.SIGHUP - 1) & 1)


def _is_mosquitto(status: dict[str, str]) -> bool:
    return status.get("Name") == COMMAND and not status["State"].startswith("Z")


def _status(pid: int) -> dict[str, str]:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
