"""Ends the processes that a test run leaves running, even if the run is ended by SIGKILL.

The watchdog is a separate process. It waits for the end of a pipe that only the run keeps open.
A process belongs to the run if its environment has the run's mark, or if it is a PostgreSQL whose
folder is below the run's.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

PREFIX = "rollcall-postgres-"
MARK = "PYTEST_ROLLCALL_RUN"
# Servers need up to ten seconds to stop.
GRACE_SECONDS = 20
POLL_SECONDS = 0.1


@contextmanager
def watched(folder: Path) -> Iterator[None]:
    """Watch a test run whose temporary files are below `folder`."""
    os.environ[MARK] = uuid.uuid4().hex
    process = subprocess.Popen(
        [sys.executable, __file__, os.environ[MARK], str(folder)],
        stdin=subprocess.PIPE,
        env={name: text for name, text in os.environ.items() if name != MARK},
        start_new_session=True,
    )
    try:
        yield
    finally:
        process.communicate(timeout=GRACE_SECONDS * 2)


def remaining_processes(mark: str, folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.status() != psutil.STATUS_ZOMBIE and _belongs(process, mark, folder):
                found.append(process)
    return found


def _belongs(process: psutil.Process, mark: str, folder: Path) -> bool:
    if process.name() == "postgres":
        return Path(process.cwd()).is_relative_to(folder) or process.environ().get(MARK) == mark
    return bool(process.environ().get(MARK) == mark)


def socket_folder(process: psutil.Process) -> Path | None:
    """Return the socket folder of a PostgreSQL, if the path of its data folder is too long."""
    with suppress(psutil.Error, OSError, IndexError):
        lines = Path(process.cwd(), "postmaster.pid").read_text(errors="replace").split("\n")
        if Path(lines[4]).name.startswith(PREFIX):
            return Path(lines[4])
    return None


def sweep(mark: str, folder: Path) -> None:
    """End the processes with SIGINT or SIGTERM, and after GRACE_SECONDS with SIGKILL."""
    signalled: set[psutil.Process] = set()
    sockets: set[Path] = set()
    deadline = time.monotonic() + GRACE_SECONDS
    while (found := remaining_processes(mark, folder)) and time.monotonic() < deadline:
        for process in set(found) - signalled:
            sockets.update(filter(None, [socket_folder(process)]))
            with suppress(psutil.Error):
                process.resume()
                # On SIGTERM, PostgreSQL would wait for its clients.
                server = process.name() == "postgres"
                process.send_signal(signal.SIGINT if server else signal.SIGTERM)
        signalled.update(found)
        time.sleep(POLL_SECONDS)
    for process in found:
        with suppress(psutil.Error):
            process.kill()
    for each in sockets:
        shutil.rmtree(each, ignore_errors=True)


if __name__ == "__main__":
    sys.stdin.read()
    sweep(sys.argv[1], Path(sys.argv[2]).resolve())
