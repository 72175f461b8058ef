"""Errors of the embedded PostgreSQL."""

import errno
from pathlib import Path

from db.postgres.permanent import DatabaseUnusable

# errno values of permanent errors.
PERMANENT = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.ENOENT,
    errno.ENAMETOOLONG,
    errno.ELOOP,
}


class PostgresFailed(Exception):
    """PostgreSQL can't be used now. The same call may succeed later."""


class PostgresUnusable(PostgresFailed, DatabaseUnusable):
    """A permanent error. The text is one line that says what to do."""


def from_os_error(error: OSError, data_dir: Path) -> PostgresFailed:
    where, reason = error.filename or data_dir, error.strerror or str(error)
    if error.errno in PERMANENT:
        return PostgresUnusable(
            f"{where}: {reason}. Set ROLLCALL_DATA_DIR to a folder that this user can write to."
        )
    return PostgresFailed(f"{where}: {reason}.")
