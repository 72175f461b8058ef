"""Locks on files and folders, which end with the processes that hold them."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from db.embedded.failures import PostgresFailed

POLL_SECONDS = 0.02
Wait = Callable[[float], object]


def open_lock(path: Path) -> int:
    """Made by root, it belongs to the owner of its folder, who may need it without root."""
    flags = os.O_RDWR | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return os.open(path, flags)
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    return descriptor


@contextmanager
def locked(folder: Path, deadline: float, wait: Wait = time.sleep) -> Iterator[int]:
    """The lock's descriptor. `deadline` and errors: as of `take`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        take(descriptor, fcntl.LOCK_EX, deadline, wait)
        yield descriptor
    finally:
        os.close(descriptor)


def take(descriptor: int, kind: int, deadline: float, wait: Wait = time.sleep) -> None:
    """Raises PostgresFailed if another process has it until then (of `time.monotonic`)."""
    while not try_to_take(descriptor, kind):
        if time.monotonic() > deadline:
            raise PostgresFailed(
                "Another process of Rollcall starts or stops this PostgreSQL just now."
            )
        wait(POLL_SECONDS)


def try_to_take(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
