"""Mosquitto's password and ACL files, written from accounts."""

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

# Mosquitto refuses the whole ACL file for one deeper topic.
MAX_SLASHES = 200
HASH = re.compile(r"\$[67]\$[0-9A-Za-z+/=$]+")


class MosquittoFiles:
    """`passwords` and `acl` in a folder that Mosquitto reads; `pid_file`: where it writes its pid.

    Their group is the folder's, which must be one of Mosquitto's. Both begin with the name of the
    generation that they belong to; `address`: of the listener where Mosquitto is asked for it.
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
        """Of Mosquitto's CPU time that its last reload took."""
        return self._reload.seconds if self._reload else 0.0

    def write(self, accounts: Iterable[Account]) -> bool:
        """Makes the files say this, and Mosquitto read them. Blocks. Whether anything changed.

        Accounts in another order count as a change. On an error the files stay as they were, or
        say less than before: raises ValueError for an account that has no place in them (no two of
        a name, no blanks), OSError, and what `Reload.until_read` raises; try again after these, it
        goes on where it stopped. Without an address Mosquitto is signalled once, and not asked.
        """
        with _alone(self.folder):
            name = self._generation()
            next_name = new_name()
            changed = self._put_in_place(accounts, next_name, whole=name is not None)
            self._make_read(next_name if changed else name or "", changed=changed)
        return changed

    def cancel(self) -> None:
        """Let `write`, in another thread, not wait for Mosquitto until `resume`."""
        if self._probe:
            self._probe.cancel()

    def resume(self) -> None:
        if self._probe:
            self._probe.cancelled.clear()

    def _put_in_place(self, accounts: Iterable[Account], name: str, *, whole: bool) -> bool:
        """Whether it was needed. `whole`: the files belong together."""
        heads = self._heads(name)
        with (
            AtomicFile(self.passwords, heads[0]) as passwords,
            AtomicFile(self.acl, heads[1]) as acl,
        ):
            lines = _render(accounts, passwords, acl)
            if process := self._process():
                process.require_readable(acl.path)
            changed = [draft.differs() for draft in (passwords, acl)]
            if whole and not any(changed):
                return False
            if all(changed):
                self._leave_out_all_but(lines)
            acl.replace()
            passwords.replace()
        return True

    def _make_read(self, name: str, *, changed: bool) -> None:
        if self._reload:
            self._reload.until_read(name, changed=changed)
        elif changed and (process := self._process()):
            process.reload()

    def _process(self) -> MosquittoProcess | None:
        return MosquittoProcess.found_by(self.pid_file) if self.pid_file else None

    def _heads(self, name: str) -> tuple[bytes, bytes]:
        """The first lines of the two files."""
        note = f"# {name}\n"
        line = f"{self._probe.line(name)}\n" if self._probe else note
        return line.encode(), note.encode()

    def _generation(self) -> str | None:
        """None if the files don't belong together: a writer was killed between them."""
        heads = first_line(self.passwords), first_line(self.acl)
        name = heads[1].decode(errors="replace").removeprefix("# ").rstrip("\n")
        return name if name.startswith(PREFIX) and heads == self._heads(name) else None

    def _leave_out_all_but(self, lines: set[int]) -> None:
        """At no moment may an old password have new rights, or a new password old ones.

        So whoever goes or has a new password is out before the rights change, and whoever comes is
        in after that: Mosquitto may read the files between any two of these steps.
        """
        with AtomicFile(self.passwords, b"#\n", "kept") as kept:
            for line in lines_of(self.passwords):
                if hash(line) in lines:
                    kept.write(line)
            if kept.differs():
                kept.replace()


def _render(accounts: Iterable[Account], passwords: AtomicFile, acl: AtomicFile) -> set[int]:
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


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time, also of several servers on one machine."""
    number = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)
