"""Files that are replaced atomically."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Self

MODE = 0o640
BUFFER_BYTES = 1 << 20


class AtomicFile:
    """A temporary file that replaces its target as a whole. Without `replace` it is deleted.

    Its group is the folder's, with read permission only. `head`: its first line, which `differs`
    does not compare.
    """

    def __init__(self, target: Path, head: bytes, suffix: str = "draft") -> None:
        self.target = target
        self.path = target.with_name(f"{target.name}.{suffix}")
        self._head = head

    def __enter__(self) -> Self:
        self.path.unlink(missing_ok=True)
        self.digest = hashlib.sha256()
        number = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self.file = os.fdopen(number, "wb", BUFFER_BYTES)
        self.file.write(self._head)
        group = self.path.parent.stat().st_gid
        if self.path.stat().st_gid != group:
            os.chown(self.path, -1, group)
        self.path.chmod(MODE)
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.path.unlink(missing_ok=True)

    def write(self, text: bytes) -> None:
        self.file.write(text)
        self.digest.update(text)

    def differs(self) -> bool:
        return _digest(self.target) != self.digest.digest()

    def replace(self) -> None:
        """Replace the target and sync it to the disk."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self.path.replace(self.target)
        _sync(self.target.parent)


def first_line(path: Path) -> bytes:
    """Return the first line, or an empty one if there is none."""
    return next(lines_of(path), b"")


def lines_of(path: Path) -> Iterator[bytes]:
    if path.exists():
        with path.open("rb") as file:
            yield from file


def _digest(path: Path) -> bytes | None:
    if not path.exists():
        return None
    with path.open("rb") as file:
        file.readline()
        return hashlib.file_digest(file, "sha256").digest()


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
