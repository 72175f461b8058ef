"""Checks and creates PostgreSQL's data folder."""

import os
import shutil
import stat
import subprocess
from pathlib import Path
from shlex import quote

from db.embedded.binaries import MAJOR, environment, program
from db.embedded.failures import PostgresFailed, PostgresUnusable
from db.embedded.locks import POLL_SECONDS, Wait
from db.embedded.system_user import SystemUser

VERSION_FILE = "PG_VERSION"
# Written when a server starts, and by backups. A folder that has one of them may have data.
USED_FILES = ("postmaster.opts", "backup_label")
TOO_OPEN = stat.S_IWGRP | stat.S_IRWXO
GUIDE = "docs/embedded-postgresql.md"
# The same sort order and character classes on every machine, independent of its locales.
LOCALE = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")


class DataFolder:
    """`unfinished` is a file that exists while `initdb` runs.

    If it still exists later, `initdb` was killed, and the folder has no data.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.unfinished = path.with_name(f"{path.name}.unfinished")

    @property
    def exists(self) -> bool:
        """Raises OSError."""
        return (self.path / VERSION_FILE).exists() and not self._is_unfinished()

    def check(self) -> None:
        """Raises PostgresUnusable if it is neither empty nor a data folder of this version."""
        if "\n" in str(self.path) or "\r" in str(self.path):
            raise PostgresUnusable(
                f"{str(self.path)!r}: PostgreSQL can't use a path with a line break. Set "
                "ROLLCALL_DATA_DIR to another one."
            )
        if self.exists:
            self._check_version()
        elif any(self.path.iterdir()) and not self._is_unfinished():
            raise PostgresUnusable(
                f"{self.path} is not empty and not a data folder of PostgreSQL. Move it away, or "
                "set ROLLCALL_DATA_DIR to another folder."
            )

    def _check_version(self) -> None:
        with (self.path / VERSION_FILE).open("rb") as file:
            found = os.fsdecode(file.read(16)).strip()
        if found != MAJOR:
            raise PostgresUnusable(
                f"{self.path} was created by PostgreSQL {found}, and this version of Rollcall "
                f"brings PostgreSQL {MAJOR}. Move the data with pg_dump and psql, as in {GUIDE}."
            )

    def check_owner(self, user: SystemUser | None) -> None:
        """Raises PostgresUnusable if PostgreSQL would refuse the owner or mode of the folder."""
        found = self.path.stat()
        if found.st_uid != (user.uid if user else os.geteuid()):
            name = user.name if user else "this user"
            raise PostgresUnusable(
                f"{self.path} does not belong to {name}. Run Rollcall as its owner, or change "
                f"that: chown -R {name if user else '$(id -un)'} {quote(str(self.path))}"
            )
        if found.st_mode & TOO_OPEN:
            raise PostgresUnusable(
                f"{self.path} is open to other users, which PostgreSQL refuses. Change that: "
                f"chmod 0700 {quote(str(self.path))}"
            )

    def make(self, user: SystemUser | None, lock: int, wait: Wait) -> None:
        """Run initdb. `lock`: a descriptor that it inherits, so it keeps the lock until it ends.

        Raises PostgresFailed, OSError.
        """
        if self._is_unfinished():
            for path in self.path.iterdir():
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        if user:
            user.take_ownership(self.path)
        self.unfinished.touch()
        command = (program("initdb"), *LOCALE, "--auth=trust", "--username=postgres")
        process = subprocess.Popen(  # noqa: S603
            [*command, "-D", str(self.path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd="/",
            env=environment(),
            start_new_session=True,
            pass_fds=(lock,),
            **(user.options if user else {}),
        )
        self._finish(process, wait)
        self.unfinished.unlink()
        _sync(self.path.parent)

    def _finish(self, process: "subprocess.Popen[bytes]", wait: Wait) -> None:
        try:
            while process.poll() is None:
                wait(POLL_SECONDS)
        except BaseException:
            process.terminate()
            raise
        finally:
            _, output = process.communicate()
        if process.returncode != 0:
            lines = [line for line in os.fsdecode(output).splitlines() if "error" in line.lower()]
            reason = lines[0] if lines else f"initdb ended with {process.returncode}"
            raise PostgresFailed(f"PostgreSQL could not make {self.path}: {reason}")

    def _is_unfinished(self) -> bool:
        return self.unfinished.exists() and not any(
            (self.path / name).exists() for name in USED_FILES
        )


def _sync(folder: Path) -> None:
    """Make the removal of a file durable, so that a power failure does not undo it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
