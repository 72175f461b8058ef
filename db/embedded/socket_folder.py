"""Where PostgreSQL's socket is: in its data folder, or in one under the temporary folder.

A socket's path has to be short, and PostgreSQL and its clients cut lists of folders at commas.
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
# Bytes.
LONGEST = 107 if sys.platform == "linux" else 103
PLAIN = re.compile(r"[A-Za-z0-9/._-]+")
PREFIX = "rollcall-postgres-"
OTHERS = S_IRWXG | S_IRWXO


def make_socket_folder(folder: Path, user: SystemUser | None) -> Path:
    """Raises PostgresUnusable, OSError."""
    if _fits(folder):
        return folder
    for base in dict.fromkeys((Path(tempfile.gettempdir()).resolve(), Path("/tmp"))):  # noqa: S108
        if _fits(base / _name(folder)) and base.is_dir():
            return _made_in(base, folder, user)
    raise PostgresUnusable(
        f"There is no folder for PostgreSQL's socket: the path of {tempfile.gettempdir()} is too "
        "long. Set TMPDIR to a shorter one."
    )


def _name(folder: Path) -> str:
    return PREFIX + sha256(os.fsencode(folder)).hexdigest()[:12]


def _made_in(base: Path, folder: Path, user: SystemUser | None) -> Path:
    """Each data folder has one of its own, so that crashes do not leave many."""
    usual, owner = base / _name(folder), user.uid if user else os.geteuid()
    try:
        usual.mkdir(0o700)
    except FileExistsError:
        found = usual.lstat()
        if S_ISDIR(found.st_mode) and found.st_uid == owner and not found.st_mode & OTHERS:
            return usual
        # Another user has made it.
        usual = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
    if user:
        user.own(usual)
    return usual


def remove_socket(folder: Path, pid_file: PidFile) -> None:
    """What a server of this folder that does not run any more has left behind."""
    _remove_files(folder)
    elsewhere = Path(pid_file.socket_folder)
    if _is_of(elsewhere, folder, pid_file):
        _remove_files(elsewhere)
        with suppress(OSError):
            elsewhere.rmdir()


def _is_of(elsewhere: Path, folder: Path, pid_file: PidFile) -> bool:
    """A copied data folder names the socket of the folder that it was copied from."""
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
    return len(os.fsencode(path)) <= LONGEST and PLAIN.fullmatch(path) is not None
