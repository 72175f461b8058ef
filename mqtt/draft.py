"""Files that are replaced as a whole, and whether anybody has read them since."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Self

MODE = 0o640
BUFFER_BYTES = 1 << 20
UNREAD = 0


class Draft:
    """A file beside the one that it is to replace, and no more than that if all ends now.

    It gets the folder's group, which may read it and nothing else.
    """

    def __init__(self, target: Path, suffix: str = "draft") -> None:
        self.target = target
        self.path = target.with_name(f"{target.name}.{suffix}")

    def __enter__(self) -> Self:
        self.path.unlink(missing_ok=True)
        self.digest = hashlib.sha256()
        number = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self.file = os.fdopen(number, "wb", BUFFER_BYTES)
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
        """Synchronised to the disk, and unread."""
        self.file.flush()
        _mark_unread(self.path)
        os.fsync(self.file.fileno())
        self.path.replace(self.target)
        _sync(self.target.parent)


def all_read(files: Iterable[Path]) -> bool:
    """Whether somebody has opened and begun to read each since it was replaced."""
    return all(file.stat().st_atime_ns != UNREAD for file in files)


def believe_read(files: Iterable[Path]) -> None:
    for file in files:
        os.utime(file)


def hides_reads(file: Path) -> bool:
    """Whether its file system keeps no times of access."""
    return bool(os.statvfs(file).f_flag & os.ST_NOATIME)


def _mark_unread(file: Path) -> None:
    # Older than its time of change: so also with `relatime` the next reader leaves a new time.
    os.utime(file, ns=(UNREAD, file.stat().st_mtime_ns))


def _digest(path: Path) -> bytes | None:
    if not path.exists():
        return None
    unread = not all_read([path])
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    if unread:
        _mark_unread(path)
    return digest


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
