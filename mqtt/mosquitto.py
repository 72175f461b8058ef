"""Mosquitto's password and ACL files, written from accounts."""

import fcntl
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from domain.accounts import Account
from domain.topics import is_filter
from mqtt.draft import Draft
from mqtt.mosquitto_process import MosquittoProcess

# Mosquitto refuses the whole ACL file for one deeper topic.
MAX_SLASHES = 200
HASH = re.compile(r"\$[67]\$[0-9A-Za-z+/=$]+")


class MosquittoFiles:
    """`passwords` and `acl` in a folder that Mosquitto reads; `pid_file`: where it writes its pid.

    Their group is the folder's, which must be one of Mosquitto's.
    """

    def __init__(self, folder: Path, pid_file: Path | None = None) -> None:
        self.folder = folder
        self.passwords = folder / "passwords"
        self.acl = folder / "acl"
        self.pid_file = pid_file

    def write(self, accounts: Iterable[Account]) -> bool:
        """Makes the files say this, and Mosquitto read them. Blocks. Whether anything changed.

        Accounts in another order count as a change. On an error the files stay as they were, or
        say less than before: raises ValueError for an account that has no place in them (no two of
        a name, no blanks), OSError, and what `MosquittoProcess.reload` raises; try again after
        these, it goes on where it stopped.
        """
        with _alone(self.folder):
            process = self._process()
            with Draft(self.passwords) as passwords, Draft(self.acl) as acl:
                lines = _render(accounts, passwords, acl)
                if process:
                    process.require_readable(acl.path)
                changed = [draft for draft in (acl, passwords) if draft.differs()]
                self._replace(changed, lines)
            # One that has started meanwhile may have read the files of before.
            if process := self._process():
                process.reload((self.passwords, self.acl))
        return bool(changed)

    def _process(self) -> MosquittoProcess | None:
        return MosquittoProcess.found_by(self.pid_file) if self.pid_file else None

    def _replace(self, drafts: list[Draft], lines: set[int]) -> None:
        """At no moment may an old password have new rights, or a new password old ones.

        So whoever goes or has a new password is out before the rights change, and whoever comes is
        in after that: Mosquitto may read the files between any two of these steps.
        """
        if len(drafts) > 1:
            self._leave_out_all_but(lines)
        for draft in drafts:
            draft.replace()

    def _leave_out_all_but(self, lines: set[int]) -> None:
        with Draft(self.passwords, "kept") as kept:
            for line in _lines(self.passwords):
                if hash(line) in lines:
                    kept.write(line)
            if kept.differs():
                kept.replace()


def _render(accounts: Iterable[Account], passwords: Draft, acl: Draft) -> set[int]:
    """Returns the hashes of all lines of the password file."""
    lines: set[int] = set()
    names: set[str] = set()
    for account in accounts:
        _check(account)
        if account.username in names:
            raise ValueError(f"There are two accounts {account.username!r}.")
        line = f"{account.username}:{account.password_hash}\n".encode()
        passwords.write(line)
        acl.write(_rules(account).encode())
        lines.add(hash(line))
        names.add(account.username)
    return lines


def _rules(account: Account) -> str:
    publish, read = account.rights.publish, account.rights.read
    lines = [f"user {account.username}"]
    lines += [f"topic {'readwrite' if one in read else 'write'} {one}" for one in publish]
    lines += [f"topic read {one}" for one in read if one not in publish]
    return "\n".join(lines) + "\n"


def _check(account: Account) -> None:
    name = account.username
    if not _one_word(name) or ":" in name or name.startswith("#"):
        raise ValueError(f"A Mosquitto user can't be called {name!r}.")
    if not HASH.fullmatch(account.password_hash):
        raise ValueError(f"The password hash of {name} is none that Mosquitto knows.")
    for topic in (*account.rights.publish, *account.rights.read):
        if not _one_word(topic) or not is_filter(topic) or topic.count("/") > MAX_SLASHES:
            raise ValueError(f"Mosquitto can't have a rule for {topic!r}, which {name} may use.")


def _one_word(text: str) -> bool:
    return bool(text) and text.isprintable() and " " not in text


def _lines(path: Path) -> Iterator[bytes]:
    if path.exists():
        with path.open("rb") as file:
            yield from file


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time, also of several servers on one machine."""
    number = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)
