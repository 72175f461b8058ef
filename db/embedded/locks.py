"""Locks on files and folders. They end with the process that holds them."""

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
    """Open or create a lock file.

    A file that root creates gets the owner of its folder, who may need it without root later.
    """
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
    """Hold a lock on a folder, and yield its descriptor. Raises as `acquire`, and OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        acquire(descriptor, fcntl.LOCK_EX, deadline, wait)
        yield descriptor
    finally:
        os.close(descriptor)


def acquire(descriptor: int, kind: int, deadline: float, wait: Wait = time.sleep) -> None:
    """Wait for a lock. Raises PostgresFailed at `deadline` (of `time.monotonic`)."""
    while not try_acquire(descriptor, kind):
        if time.monotonic() > deadline:
            raise PostgresFailed(
                "Another process of Rollcall is starting or stopping this PostgreSQL. Try again."
            )
        wait(POLL_SECONDS)


def try_acquire(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
