"""Tracks started processes, and checks whether a process is the PostgreSQL of a folder."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil

# By process id. Each must be waited for, else it stays as a zombie.
_started: dict[int, "subprocess.Popen[bytes]"] = {}


def register(process: "subprocess.Popen[bytes]") -> None:
    _reap_ended()
    _started[process.pid] = process


def _reap_ended() -> None:
    for pid, process in list(_started.items()):
        if process.poll() is not None:
            _started.pop(pid, None)


def reap(pid: int, seconds: float) -> None:
    """Wait for a process that is ending. No-op if this process has not started it."""
    if process := _started.get(pid):
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
    _reap_ended()


def exists(pid: int) -> bool:
    """Return True if the process exists, even as a zombie."""
    _reap_ended()
    return bool(psutil.pid_exists(pid))


def serves(pid: int, folder: Path) -> bool:
    """Return True if a process is a PostgreSQL server of this folder. Their paths may differ.

    PostgreSQL runs as the owner of its data folder, which is its working directory. Raises
    psutil.AccessDenied if these can't be read.
    """
    _reap_ended()
    if pid <= 0:
        return False
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE or process.name() != "postgres":
            return False
        if process.uids().effective != folder.stat().st_uid:
            return False
        return _is_same(_working_folder(process), folder)
    except psutil.NoSuchProcess:
        return False


def _working_folder(process: psutil.Process) -> str:
    """Return the working directory. On Linux a link, which is valid even after a rename."""
    link = f"/proc/{process.pid}/cwd"
    return link if os.path.lexists(link) else str(process.cwd())


def _is_same(path: str, other: Path) -> bool:
    try:
        return Path(path).samefile(other)
    except PermissionError as error:
        raise psutil.AccessDenied from error
    except OSError:
        return False


def server_pids(folder: Path) -> list[int]:
    """Return all PostgreSQL processes of a folder, also those that outlived their postmaster."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.AccessDenied):
            if serves(process.pid, folder):
                found.append(process.pid)
    return found


def is_suspended(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False


def send_signal(pid: int, number: signal.Signals, folder: Path) -> None:
    """Signal the PostgreSQL of this folder, and no other process. No-op if it has ended."""
    with suppress(ProcessLookupError):
        if not hasattr(os, "pidfd_open"):
            if serves(pid, folder):
                os.kill(pid, number)
            return
        # The descriptor refers to this process, even if its id is assigned to another one.
        handle = os.pidfd_open(pid)
        try:
            if serves(pid, folder):
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)
