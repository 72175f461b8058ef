"""A running Mosquitto that is to read its files again (Linux: it is known by /proc)."""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from mqtt.draft import all_read, believe_read, hides_reads

READ_SECONDS = 120.0
AGAIN_SECONDS = 1.0
LOOK_SECONDS = 0.02
COMMAND = "mosquitto"
ROOT = 0
READ, ENTER = 0o4, 0o1


class MosquittoProcess:
    """`user`: the number of the user that it runs as. `groups`: those of its groups."""

    def __init__(self, pid: int, status: dict[str, str]) -> None:
        self.pid = pid
        self.user = int(status["Uid"].split()[1])
        self.groups = {int(group) for group in status["Groups"].split()}
        self.groups.add(int(status["Gid"].split()[1]))

    @classmethod
    def found_by(cls, pid_file: Path) -> "MosquittoProcess | None":
        """None where the file is missing or stale: nothing runs, or something else."""
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

    def reload(self, files: Sequence[Path]) -> None:
        """Blocks until it has read all of the files and serves its clients again.

        Mosquitto 2.0 loses a SIGHUP that comes while it still obeys an earlier one, and dies of one
        that comes before it has started. Raises TimeoutError, or PermissionError where this process
        may not send it signals.
        """
        self._make_read(files)
        deadline = time.monotonic() + READ_SECONDS
        while self._busy() and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)

    def _make_read(self, files: Sequence[Path]) -> None:
        deadline = time.monotonic() + READ_SECONDS
        while not all_read(files) and self._runs():
            if self._started():
                self._ask()
                if hides_reads(files[0]):
                    believe_read(files)
            if not _wait(files) and time.monotonic() > deadline:
                raise TimeoutError(
                    f"Mosquitto (process {self.pid}) has not read {files[0].parent} anew within"
                    f" {READ_SECONDS:.0f} seconds: does its configuration name these files?"
                )

    def _ask(self) -> None:
        try:
            os.kill(self.pid, signal.SIGHUP)
        except ProcessLookupError:
            return
        except PermissionError as error:
            raise PermissionError(
                f"The files are written, but Mosquitto (process {self.pid}, user {self.user}) has"
                " not read them: run Rollcall as that user, or let something else reload it."
            ) from error

    def _runs(self) -> bool:
        return _is_mosquitto(_status(self.pid))

    def _busy(self) -> bool:
        """While it reads, it neither sleeps nor serves anybody."""
        return _status(self.pid).get("State", "").startswith(("R", "D"))

    def _started(self) -> bool:
        """Whether it has set up what it does on a SIGHUP."""
        caught = int(_status(self.pid).get("SigCgt", "0"), 16)
        return bool(caught >> (signal.SIGHUP - 1) & 1)

    def _may(self, what: int, path: Path) -> bool:
        about = path.stat()
        if about.st_uid == self.user:
            what <<= 6
        elif about.st_gid in self.groups:
            what <<= 3
        return self.user == ROOT or bool(about.st_mode & what)


def _wait(files: Sequence[Path]) -> bool:
    deadline = time.monotonic() + AGAIN_SECONDS
    while not all_read(files):
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK_SECONDS)
    return True


def _is_mosquitto(status: dict[str, str]) -> bool:
    return status.get("Name") == COMMAND and not status["State"].startswith("Z")


def _status(pid: int) -> dict[str, str]:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
