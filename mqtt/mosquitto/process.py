"""The running Mosquitto that a pid file names (Linux: it is known by /proc)."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

COMMAND = "mosquitto"
ROOT = 0
READ, ENTER = 0o4, 0o1
# Of what follows the command's name in /proc/<pid>/stat: user time and system time.
TIMES = slice(11, 13)


class MosquittoProcess:
    """`user`: the number of the user that it runs as. `groups`: those of its groups."""

    def __init__(self, pid: int, status: dict[str, str]) -> None:
        self.pid = pid
        self.user = int(status["Uid"].split()[1])
        self.groups = {int(group) for group in status["Groups"].split()}
        self.groups.add(int(status["Gid"].split()[1]))

    @classmethod
    def found_by(cls, pid_file: Path) -> "MosquittoProcess | None":
        """None where the file is missing or stale: nothing runs, or something else.

        Mosquitto writes its pid before it reads its other files. Raises OSError.
        """
        try:
            pid = int(pid_file.read_text())
        except (FileNotFoundError, ValueError):
            return None
        status = _status(pid)
        return cls(pid, status) if _is_mosquitto(status) else None

    def require_readable(self, file: Path) -> None:
        """Raises PermissionError. Mosquitto 2.0 lets all do all when it can't read its ACL file."""
        if not self._may(READ, file) or not all(self._may(ENTER, each) for each in file.parents):
            raise PermissionError(
                f"Mosquitto (process {self.pid}, user {self.user}) could not read files in"
                f" {file.parent}, so they stay as they are: give this folder Mosquitto's group, and"
                " let that group enter it."
            )

    def reload(self) -> None:
        """Signal it, unless it is still starting: a SIGHUP would end it, and it reads them anyway.

        Raises PermissionError if this process may not send it signals.
        """
        try:
            with _pinned(self.pid) as number:
                # Looked up again, so that no other process is signalled that has its pid since.
                if _catches_hangup(_status(self.pid)):
                    _hang_up(self.pid, number)
        except ProcessLookupError:
            return
        except PermissionError as error:
            raise PermissionError(
                f"The files are written, but Mosquitto (process {self.pid}, user {self.user}) has"
                " not read them: run Rollcall as that user, or let something else reload it."
            ) from error

    def cpu_seconds(self) -> float:
        """What it has used since its start; 0 if it has ended."""
        try:
            line = Path(f"/proc/{self.pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return 0
        used = line.rpartition(")")[2].split()[TIMES]
        return sum(map(int, used)) / os.sysconf("SC_CLK_TCK")

    def _may(self, what: int, path: Path) -> bool:
        about = path.stat()
        if about.st_uid == self.user:
            what <<= 6
        elif about.st_gid in self.groups:
            what <<= 3
        return self.user == ROOT or bool(about.st_mode & what)


@contextmanager
def _pinned(pid: int) -> Iterator[int | None]:
    """A descriptor of this very process; None if the system offers none (seccomp, old kernels).

    Raises ProcessLookupError.
    """
    try:
        number = os.pidfd_open(pid)
    except ProcessLookupError:
        raise
    except OSError:
        number = None
    try:
        yield number
    finally:
        if number is not None:
            os.close(number)


def _hang_up(pid: int, number: int | None) -> None:
    if number is None:
        os.kill(pid, signal.SIGHUP)
    else:
        signal.pidfd_send_signal(number, signal.SIGHUP)


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
