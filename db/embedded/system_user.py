"""PostgreSQL refuses to run as root: started by root, it runs as another user."""

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
# Where the machine keeps its users.
USERS = Path("/etc")
LOCK_SECONDS = 10

log = logging.getLogger("rollcall.database")


@dataclass(frozen=True)
class SystemUser:
    uid: int
    gid: int

    @property
    def options(self) -> dict[str, Any]:
        """For `subprocess`."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, folder: Path) -> None:
        os.chown(folder, self.uid, self.gid, follow_symlinks=False)

    @property
    def name(self) -> str:
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)


def user_for(folder: Path) -> SystemUser | None:
    """None if this process is not root's: then PostgreSQL runs as its user.

    An existing data folder is served by its owner. Raises PostgresUnusable.
    """
    if os.geteuid() != 0:
        return None
    found = folder.stat()
    user = SystemUser(found.st_uid, found.st_gid) if found.st_uid != 0 else _made()
    _open_way_to(folder, user)
    _open_way_to(installation(), user)
    _open_programs(user)
    return user


def _made() -> SystemUser:
    with locked(USERS, time.monotonic() + LOCK_SECONDS):
        try:
            entry = pwd.getpwnam(NAME)
        except KeyError:
            _make()
            entry = pwd.getpwnam(NAME)
    return SystemUser(entry.pw_uid, entry.pw_gid)


def _make() -> None:
    command = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if command:
        options = ["--system", "--no-create-home", "--shell", "/bin/sh"]
        try:
            grp.getgrnam(NAME)
        except KeyError:
            options.append("--user-group")
        made = subprocess.run([command, *options, NAME], capture_output=True, check=False)  # noqa: S603
        if made.returncode == 0:
            return
    raise PostgresUnusable(
        "PostgreSQL does not run as root. Run Rollcall as a user of its own, or make a system "
        f"user {NAME} for PostgreSQL."
    )


def _open_way_to(path: Path, user: SystemUser) -> None:
    """Lets the user pass through the parent folders; it can't list them."""
    for parent in path.parents:
        found = parent.stat()
        bit = _bit(found, user, stat.S_IXUSR, stat.S_IXGRP, stat.S_IXOTH)
        if found.st_mode & bit:
            continue
        try:
            parent.chmod(stat.S_IMODE(found.st_mode) | bit)
        except OSError as error:
            raise PostgresUnusable(
                f"User {user.name}, as which PostgreSQL runs, can't pass through {parent} "
                f"({error.strerror}). Run Rollcall as a user of its own, or set ROLLCALL_DATA_DIR "
                "to a folder that all users can reach."
            ) from error
        log.warning("%s lets user %s pass now: PostgreSQL runs as that user.", parent, user.name)


def _open_programs(user: SystemUser) -> None:
    """An installation under a strict umask is for root only."""
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
