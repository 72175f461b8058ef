"""Writes Mosquitto's password and ACL files, and makes Mosquitto read them."""

import fcntl
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from domain.mqtt.accounts import Account
from domain.mqtt.topics import is_filter
from mqtt.address import Address
from mqtt.mosquitto.atomic_file import AtomicFile, first_line, lines_of
from mqtt.mosquitto.probe import PREFIX, Probe, new_name
from mqtt.mosquitto.process import MosquittoProcess
from mqtt.mosquitto.reload import Reload

# Mosquitto rejects the whole ACL file if one topic has more levels.
MAX_SLASHES = 200
HASH = re.compile(r"\$[67]\$[0-9A-Za-z+/=$]+")


class MosquittoFiles:
    """The files `passwords` and `acl` in a folder that Mosquitto reads.

    Their group is the folder's, which must be a group of Mosquitto's user. Both begin with the name
    of their generation. `pid_file`: Mosquitto's. `address`: the listener at which the probe checks
    whether Mosquitto has read a generation.
    """

    def __init__(
        self, folder: Path, pid_file: Path | None = None, address: Address | None = None
    ) -> None:
        self.folder = folder
        self.passwords = folder / "passwords"
        self.acl = folder / "acl"
        self.pid_file = pid_file
        self._probe = Probe(address) if address else None
        self._reload = Reload(pid_file, self._probe) if pid_file and self._probe else None

    @property
    def reload_seconds(self) -> float:
        """CPU seconds that Mosquitto's last reload took."""
        return self._reload.seconds if self._reload else 0.0

    def write(self, accounts: Iterable[Account]) -> bool:
        """Write the accounts and make Mosquitto read them. Blocks. Return whether they changed.

        Accounts in another order count as a change. After an error the files are unchanged or have
        fewer accounts than before. Raises ValueError for an account that the files cannot contain
        (duplicate name, blanks), OSError, and what `Reload.until_read` raises. A retry continues
        there. Without an address Mosquitto is signalled once, without a check.
        """
        with _exclusive(self.folder):
            name = self._generation()
            next_name = new_name()
            changed = self._replace_files(accounts, next_name, complete=name is not None)
            self._reload_process(next_name if changed else name or "", changed=changed)
        return changed

    def cancel(self) -> None:
        """Make `write` in another thread stop waiting for Mosquitto, until `resume` is called."""
        if self._probe:
            self._probe.cancel()

    def resume(self) -> None:
        if self._probe:
            self._probe.cancelled.clear()

    def _replace_files(self, accounts: Iterable[Account], name: str, *, complete: bool) -> bool:
        """Replace the files if they differ. `complete`: both are of one generation now."""
        heads = self._heads(name)
        with (
            AtomicFile(self.passwords, heads[0]) as passwords,
            AtomicFile(self.acl, heads[1]) as acl,
        ):
            lines = _render(accounts, passwords, acl)
            if process := self._process():
                process.require_readable(acl.path)
            changed = [file.differs() for file in (passwords, acl)]
            if complete and not any(changed):
                return False
            if all(changed):
                self._remove_all_except(lines)
            acl.replace()
            passwords.replace()
        return True

    def _reload_process(self, name: str, *, changed: bool) -> None:
        if self._reload:
            self._reload.until_read(name, changed=changed)
        elif changed and (process := self._process()):
            process.reload()

    def _process(self) -> MosquittoProcess | None:
        return MosquittoProcess.from_pid_file(self.pid_file) if self.pid_file else None

    def _heads(self, name: str) -> tuple[bytes, bytes]:
        """Return the first lines of `passwords` and `acl`."""
        note = f"# {name}\n"
        line = f"{self._probe.line(name)}\n" if self._probe else note
        return line.encode(), note.encode()

    def _generation(self) -> str | None:
        """Return None if the files are of two generations: a writer was killed in between."""
        heads = first_line(self.passwords), first_line(self.acl)
        name = heads[1].decode(errors="replace").removeprefix("# ").rstrip("\n")
        return name if name.startswith(PREFIX) and heads == self._heads(name) else None

    def _remove_all_except(self, lines: set[int]) -> None:
        """Remove deleted accounts and accounts with a new password before the rights change.

        New accounts are added after that. So an old password never has new rights or the reverse,
        although Mosquitto may read the files between any two steps.
        """
        with AtomicFile(self.passwords, b"#\n", "kept") as remaining:
            for line in lines_of(self.passwords):
                if hash(line) in lines:
                    remaining.write(line)
            if remaining.differs():
                remaining.replace()


def _render(accounts: Iterable[Account], passwords: AtomicFile, acl: AtomicFile) -> set[int]:
    """Return the hashes of all lines of the password file."""
    lines: set[int] = set()
    names: set[str] = set()
    for account in accounts:
        _check(account)
        if account.username in names:
            raise ValueError(f"There are two accounts {account.username!r}. Names must be unique.")
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
        raise ValueError(f"Mosquitto does not support the format of the password hash of {name}.")
    for topic in (*account.rights.publish, *account.rights.read):
        if not _one_word(topic) or not is_filter(topic) or topic.count("/") > MAX_SLASHES:
            raise ValueError(f"Mosquitto can't have a rule for topic {topic!r} of {name}.")


def _one_word(text: str) -> bool:
    return bool(text) and text.isprintable() and " " not in text


@contextmanager
def _exclusive(folder: Path) -> Iterator[None]:
    """Lock the folder against all other processes and servers on this machine."""
    number = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)
