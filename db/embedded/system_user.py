"""The system user for PostgreSQL. If Rollcall runs as root, PostgreSQL needs another user."""

import grp
import logging
import os
import pwd
import shutil
import stat
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db.embedded.binaries import installation
from db.embedded.failures import PostgresUnusable
from db.embedded.locks import locked

NAME = "pgserver"
# The folder of the user database. It is locked while a user is created.
USERS = Path("/etc")
LOCK_SECONDS = 10

log = logging.getLogger("rollcall.database")


@dataclass(frozen=True)
class SystemUser:
    uid: int
    gid: int

    @property
    def options(self) -> dict[str, Any]:
        """Options for `subprocess.Popen`."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def take_ownership(self, folder: Path) -> None:
        os.chown(folder, self.uid, self.gid, follow_symlinks=False)

    @property
    def name(self) -> str:
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)


def user_for(folder: Path) -> SystemUser | None:
    """Return the user for PostgreSQL; None if this process does not run as root.

    It is the owner of an existing data folder, else a system user. Raises PostgresUnusable.
    """
    if os.geteuid() != 0:
        return None
    found = folder.stat()
    user = SystemUser(found.st_uid, found.st_gid) if found.st_uid != 0 else _system_user()
    _allow_traversal(folder, user)
    _allow_traversal(installation(), user)
    _allow_programs(user)
    return user


def _system_user() -> SystemUser:
    with locked(USERS, time.monotonic() + LOCK_SECONDS):
        try:
            entry = pwd.getpwnam(NAME)
        except KeyError:
            _create_system_user()
            entry = pwd.getpwnam(NAME)
    return SystemUser(entry.pw_uid, entry.pw_gid)


def _create_system_user() -> None:
    command = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if command:
        options = ["--system", "--no-create-home", "--shell", "/bin/sh"]
        try:
            grp.getgrnam(NAME)
        except KeyError:
            options.append("--user-group")
        created = subprocess.run([command, *options, NAME], capture_output=True, check=False)  # noqa: S603
        if created.returncode == 0:
            return
    raise PostgresUnusable(
        "PostgreSQL does not run as root. Run Rollcall as another user, or create a system user "
        f"{NAME} for PostgreSQL."
    )


def _allow_traversal(path: Path, user: SystemUser) -> None:
    """Let the user traverse the parent folders, without listing them."""
    for parent in path.parents:
        found = parent.stat()
        bit = _bit(found, user, stat.S_IXUSR, stat.S_IXGRP, stat.S_IXOTH)
        if found.st_mode & bit:
            continue
        try:
            parent.chmod(stat.S_IMODE(found.st_mode) | bit)
        except OSError as error:
            raise PostgresUnusable(
                f"User {user.name}, as which PostgreSQL runs, can't access {parent} "
                f"({error.strerror}). Run Rollcall as another user, or set ROLLCALL_DATA_DIR "
                "to a folder that all users can reach."
            ) from error
        log.warning(
            "The mode of %s was changed, so that user %s can access PostgreSQL's files in it.",
            parent,
            user.name,
        )


def _allow_programs(user: SystemUser) -> None:
    """Let the user read and run the programs. A strict umask would allow only root."""
    for folder, _, names in os.walk(installation()):
        for path in (Path(folder), *(Path(folder, name) for name in names)):
            found = path.stat()
            wanted = _bit(found, user, stat.S_IRUSR, stat.S_IRGRP, stat.S_IROTH)
            if found.st_mode & stat.S_IXUSR:
                wanted |= _bit(found, user, stat.S_IXUSR, stat.S_IXGRP, stat.S_IXOTH)
            if found.st_mode & wanted != wanted:
                path.chmod(stat.S_IMODE(found.st_mode) | wanted)


def _bit(found: os.stat_result, user: SystemUser, owner: int, group: int, others: int) -> int:
    if found.st_uid == user.uid:
        return owner
    return group if found.st_gid == user.gid else others
