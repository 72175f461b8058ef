"""Finds, starts, signals and checks the PostgreSQL server of a data folder."""

import signal
import socket
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil

from db.embedded import processes
from db.embedded.binaries import environment, program
from db.embedded.failures import PostgresFailed
from db.embedded.log import Log
from db.embedded.pid_file import NAME, PidFile, read_pid_file, socket_in
from db.embedded.socket_folder import PORT, make_socket_folder, remove_socket
from db.embedded.system_user import SystemUser

# The protocol message SSLRequest. A working server answers with one byte.
SSL_REQUEST = bytes.fromhex("0000000804d2162f")
PING_SECONDS = 5


@dataclass(frozen=True)
class Postmaster:
    pid: int
    folder: Path
    file: PidFile

    @property
    def ready(self) -> bool:
        return self.file.status in ("ready", "standby") and self.file.socket is not None

    @property
    def stopping(self) -> bool:
        return self.file.status == "stopping"

    @property
    def url(self) -> str:
        host = quote(self.file.socket_folder, safe="/")
        return f"postgresql://postgres:@/postgres?host={host}&port={self.file.port}"

    @property
    def running(self) -> bool:
        return processes.serves(self.pid, self.folder)

    def send(self, number: signal.Signals) -> None:
        processes.send_signal(self.pid, number, self.folder)

    def reap(self, seconds: float) -> None:
        """Wait for the exit status of the ended server, if this process has started it."""
        processes.reap(self.pid, seconds)

    def ping(self) -> None:
        """Raises PostgresFailed if it does not answer."""
        assert self.file.socket is not None  # noqa: S101  `ready` has checked it
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(PING_SECONDS)
                client.connect(str(self.file.socket))
                client.sendall(SSL_REQUEST)
                client.recv(1)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise PostgresFailed(
                f"PostgreSQL runs (process {self.pid}), but its socket {self.file.socket} "
                f"is missing. End it, then Rollcall starts it again: kill -INT {self.pid}"
            ) from error
        except OSError as error:
            hint = (
                f"It is suspended; continue it: kill -CONT {self.pid}"
                if processes.is_suspended(self.pid)
                else f"Its log is {self.folder / 'log'}."
            )
            raise PostgresFailed(
                f"PostgreSQL runs (process {self.pid}), but does not answer. {hint}"
            ) from error


def find_postmaster(folder: Path) -> Postmaster | None:
    """Return the running server of a folder, also if another process has started it.

    Raises PostgresFailed if it is unknown whether there is one, OSError.
    """
    file = read_pid_file(folder)
    if file is None:
        return None
    try:
        if processes.serves(file.pid, folder):
            return Postmaster(file.pid, folder, file)
    except psutil.AccessDenied as error:
        raise PostgresFailed(
            f"Process {file.pid} in {folder / NAME} can't be inspected: it is unknown whether it "
            "is the PostgreSQL of this folder. Run Rollcall as the user of that process."
        ) from error
    if _answers(socket_in(folder, PORT)) or (
        file.data_folder == str(folder) and file.socket and _answers(file.socket)
    ):
        raise PostgresFailed(
            f"A PostgreSQL uses {folder}, but its process is not visible: it may run in another "
            "container. Stop it there."
        )
    return None


def _answers(path: Path) -> bool:
    """Return True if a process listens at the socket, also in another container."""
    with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
        client.settimeout(PING_SECONDS)
        client.connect(str(path))
        return True
    return False


class LaunchedServer:
    """A server that this process has started."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Log) -> None:
        self._process = process
        self._log = log

    def check(self) -> None:
        """Raises PostgresFailed if it has ended."""
        if self._process.poll() is not None:
            raise self._log.failure(self._process.returncode)


def launch(folder: Path, user: SystemUser | None) -> LaunchedServer:
    """Start the server. The caller has locked the folder, and `find_postmaster` found no server.

    Raises PostgresFailed, OSError.
    """
    _remove_leftovers(folder)
    sockets = make_socket_folder(folder, user)
    log = Log(folder / "log", user)
    options = ["-D", str(folder), "-k", str(sockets), "-p", str(PORT), "-h", ""]
    with log.opened() as output:
        process = subprocess.Popen(  # noqa: S603
            [program("postgres"), *options, "-c", "lc_messages=C"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env=environment(),
            # So Ctrl-C in the terminal reaches only Rollcall, which stops the server at its end.
            start_new_session=True,
            **(user.options if user else {}),
        )
    processes.register(process)
    return LaunchedServer(process, log)


def _remove_leftovers(folder: Path) -> None:
    """Remove files of a crashed server that would prevent a start.

    PostgreSQL takes any running process of this user that the files name for a server. A pid file
    whose process does not exist stays, because PostgreSQL finds the old shared memory by it.
    """
    file = read_pid_file(folder)
    if file is None:
        file = PidFile(0, str(folder), "", "", "")
    elif file.pid == 0 or processes.exists(file.pid):
        (folder / NAME).unlink()
    remove_socket(folder, file)
