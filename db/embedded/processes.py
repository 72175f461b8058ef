"""Processes: those that we started, and whether one is the PostgreSQL of a folder."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil

# Kept until they have ended: one that nobody waits for stays as a zombie.
_started: dict[int, "subprocess.Popen[bytes]"] = {}


def keep(process: "subprocess.Popen[bytes]") -> None:
    _reap()
    _started[process.pid] = process


def _reap() -> None:
    for pid, process in list(_started.items()):
        if process.poll() is not None:
            _started.pop(pid, None)


def collect(pid: int, seconds: float) -> None:
    """Wait for one that is ending. No-op if this process has not started it."""
    if process := _started.get(pid):
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
    _reap()


def exists(pid: int) -> bool:
    """Also if it is a zombie."""
    _reap()
    return bool(psutil.pid_exists(pid))


def serves(pid: int, folder: Path) -> bool:
    """Whether a process is a PostgreSQL server of this very folder, whatever the path to it.

    PostgreSQL runs as the owner of its data folder, and works in it. Raises psutil.AccessDenied
    if that can't be known.
    """
    _reap()
    if pid <= 0:
        return False
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE or process.name() != "postgres":
            return False
        if process.uids().effective != folder.stat().st_uid:
            return False
        return _same(_working_folder(process), folder)
    except psutil.NoSuchProcess:
        return False


def _working_folder(process: psutil.Process) -> str:
    """On Linux a link that leads there even if the folder was renamed."""
    link = f"/proc/{process.pid}/cwd"
    return link if os.path.lexists(link) else str(process.cwd())


def _same(one: str, other: Path) -> bool:
    try:
        return Path(one).samefile(other)
    except PermissionError as error:
        raise psutil.AccessDenied from error
    except OSError:
        return False


def all_that_serve(folder: Path) -> list[int]:
    """Also those that outlived their postmaster."""
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
    """To the PostgreSQL of this folder and to no other process. No-op if it has ended."""
    with suppress(ProcessLookupError):
        if not hasattr(os, "pidfd_open"):
            if serves(pid, folder):
                os.kill(pid, number)
            return
        # It stands for this process even if the number is given to another one meanwhile.
        handle = os.pidfd_open(pid)
        try:
            if serves(pid, folder):
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)
