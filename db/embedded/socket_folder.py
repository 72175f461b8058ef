"""The folder of PostgreSQL's socket: its data folder, or one in the temporary folder.

The path of a socket must be short and without commas, at which PostgreSQL and its clients split
lists of folders.
"""

import os
import re
import sys
import tempfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from stat import S_IRWXG, S_IRWXO, S_ISDIR

from db.embedded.failures import PostgresUnusable
from db.embedded.pid_file import PidFile, socket_in
from db.embedded.system_user import SystemUser

PORT = 5432
# Bytes of a socket's path.
MAX_PATH_BYTES = 107 if sys.platform == "linux" else 103
ALLOWED_PATH = re.compile(r"[A-Za-z0-9/._-]+")
PREFIX = "rollcall-postgres-"
OTHER_USERS = S_IRWXG | S_IRWXO


def make_socket_folder(folder: Path, user: SystemUser | None) -> Path:
    """Return the socket's folder, and create it if needed. Raises PostgresUnusable, OSError."""
    if _fits(folder):
        return folder
    for base in dict.fromkeys((Path(tempfile.gettempdir()).resolve(), Path("/tmp"))):  # noqa: S108
        if _fits(base / _name(folder)) and base.is_dir():
            return _make_in(base, folder, user)
    raise PostgresUnusable(
        f"There is no folder for PostgreSQL's socket: the path of {tempfile.gettempdir()} is too "
        "long. Set TMPDIR to a shorter one."
    )


def _name(folder: Path) -> str:
    return PREFIX + sha256(os.fsencode(folder)).hexdigest()[:12]


def _make_in(base: Path, folder: Path, user: SystemUser | None) -> Path:
    """Make a folder whose name is fixed for a data folder, so that crashes do not leave many."""
    path, owner = base / _name(folder), user.uid if user else os.geteuid()
    try:
        path.mkdir(0o700)
    except FileExistsError:
        found = path.lstat()
        if S_ISDIR(found.st_mode) and found.st_uid == owner and not found.st_mode & OTHER_USERS:
            return path
        # Another user has made it.
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
    if user:
        user.take_ownership(path)
    return path


def remove_socket(folder: Path, pid_file: PidFile) -> None:
    """Remove the socket files of a server of this folder that has ended."""
    _remove_files(folder)
    elsewhere = Path(pid_file.socket_folder)
    if _belongs_to(elsewhere, folder, pid_file):
        _remove_files(elsewhere)
        with suppress(OSError):
            elsewhere.rmdir()


def _belongs_to(elsewhere: Path, folder: Path, pid_file: PidFile) -> bool:
    """Check the owner, because a copied data folder names the socket of the original folder."""
    try:
        return (
            elsewhere.name.startswith(PREFIX)
            and pid_file.data_folder == str(folder)
            and elsewhere.lstat().st_uid == folder.stat().st_uid
        )
    except OSError:
        return False


def _remove_files(folder: Path) -> None:
    socket = socket_in(folder, PORT)
    for path in (socket, socket.with_name(f"{socket.name}.lock")):
        path.unlink(missing_ok=True)


def _fits(folder: Path) -> bool:
    path = str(socket_in(folder, PORT))
    return len(os.fsencode(path)) <= MAX_PATH_BYTES and ALLOWED_PATH.fullmatch(path) is not None
