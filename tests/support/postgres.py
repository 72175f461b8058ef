"""Real clusters of the installed PostgreSQL, each with its own folder and port."""

import os
import pwd
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.server.process import wait_for
from tests.support.ports import free_port

USER = "rollcall"
PASSWORD = "a secret/with:marks@here"
QUOTED = "a%20secret%2Fwith%3Amarks%40here"
ACCOUNT = "postgres"
STOP_SECONDS = 10

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "max_connections": "60",
    "shared_buffers": "16MB",
    "wal_level": "replica",
    "max_wal_senders": "4",
    "hot_standby": "on",
    "log_min_messages": "warning",
}


def bin_folder() -> Path:
    """Of the newest that is installed. Skips the test where there is none; in CI it fails."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    if not found:
        missing("postgresql")
    return found[-1].parent


def missing(package: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{package} is not installed.")
    pytest.skip(f"needs {package}")


def as_account(*command: str) -> list[str]:
    """PostgreSQL and PgBouncer don't run as root."""
    if os.geteuid() != 0:
        return list(command)
    account = pwd.getpwnam(ACCOUNT)
    own = [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    return ["setpriv", *own, *command]


def give_to_account(path: Path) -> None:
    """And let it reach the folder, below those that only root may open."""
    if os.geteuid() != 0:
        return
    account = pwd.getpwnam(ACCOUNT)
    os.chown(path, account.pw_uid, account.pw_gid)
    for parent in path.parents:
        found = parent.stat()
        if found.st_uid != account.pw_uid and not found.st_mode & 0o001:
            parent.chmod(found.st_mode | 0o001)


def run(*command: str, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        as_account(*command),
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd="/",
        env={**os.environ, **(env or {})},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Cluster:
    """A primary with a user that owns the database `rollcall`; or a standby, by `copy_of`."""

    def __init__(self, folder: Path, write_ahead: Path | None = None, **settings: str) -> None:
        self.bin = bin_folder()
        self.folder = folder
        self.write_ahead = write_ahead
        self.port = free_port()
        self.settings = {**SETTINGS, **settings}
        self.log = folder.parent / f"{folder.name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"postgresql://{USER}:{QUOTED}@{self.place}/rollcall"

    def create(self, *, encoding: str = "UTF8") -> None:
        self._make_folder()
        own = ["-U", ACCOUNT, "-E", encoding, "--locale=C", "-A", "trust", "-N"]
        if self.write_ahead:
            self.write_ahead.mkdir(mode=0o700)
            give_to_account(self.write_ahead)
            own.append(f"--waldir={self.write_ahead}")
        self._run("initdb", *own)
        hba = self.folder / "pg_hba.conf"
        hba.write_text(
            f"local all {ACCOUNT} trust\n"
            f"host replication {ACCOUNT} 127.0.0.1/32 trust\n"
            f"host all {ACCOUNT} 127.0.0.1/32 trust\n"
            "host all all 127.0.0.1/32 scram-sha-256\n"
            "local all all scram-sha-256\n"
        )
        self.start()
        self.sql(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")
        self.sql(f"CREATE DATABASE rollcall OWNER {USER}")

    def copy_of(self, primary: "Cluster", name: str) -> None:
        """A standby that streams; the primary knows it by its name."""
        self._make_folder()
        source = f"host=127.0.0.1 port={primary.port} user={ACCOUNT} application_name={name}"
        run(
            str(self.bin / "pg_basebackup"),
            "-D",
            str(self.folder),
            "-d",
            source,
            "-R",
            "-c",
            "fast",
        )
        self.start()

    def start(self) -> None:
        options = [f"-c{name}={value}" for name, value in self.settings.items()]
        sockets = f"-cunix_socket_directories={self.folder}"
        command = [str(self.bin / "postgres"), "-D", str(self.folder), f"-p{self.port}", sockets]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                as_account(*command, *options), stdout=log, stderr=log, cwd="/"
            )
        wait_for(self.answers)

    def answers(self) -> bool:
        assert self.process
        assert self.process.poll() is None, self.log.read_text()
        ready = [str(self.bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(ready, check=False, timeout=10).returncode == 0

    def sql(self, statement: str, database: str = "postgres") -> str:
        place = ["-h", "127.0.0.1", "-p", str(self.port), "-U", ACCOUNT, "-d", database]
        return run(str(self.bin / "psql"), *place, "-XAtqc", statement).strip()

    def promote(self) -> None:
        self.sql("SELECT pg_promote()")
        assert self.sql("SELECT pg_is_in_recovery()") == "f"

    def processes(self) -> list[psutil.Process]:
        """The postmaster, and all of its."""
        assert self.process
        postmaster = psutil.Process(self.process.pid)
        return [postmaster, *postmaster.children(recursive=True)]

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        assert self.process
        self.process.wait(STOP_SECONDS)

    def stop(self, mode: signal.Signals = signal.SIGINT) -> None:
        """Frozen, killed or running; and all of its processes."""
        if self.process is None or self.process.poll() is not None:
            return
        known = self.processes()
        self.thaw()
        self.process.send_signal(mode)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            for each in known:
                with suppress(psutil.NoSuchProcess):
                    each.kill()
            self.process.wait(STOP_SECONDS)

    def restart(self) -> None:
        self.stop()
        self.start()

    def _signal(self, number: signal.Signals) -> None:
        for each in self.processes():
            with suppress(psutil.NoSuchProcess):
                each.send_signal(number)

    def _make_folder(self) -> None:
        self.folder.mkdir(mode=0o700, exist_ok=True)
        give_to_account(self.folder)

    def _run(self, command: str, *arguments: str) -> None:
        run(str(self.bin / command), "-D", str(self.folder), *arguments)


@contextmanager
def cluster(
    folder: Path, *, encoding: str = "UTF8", write_ahead: Path | None = None, **settings: str
) -> Iterator[Cluster]:
    """`write_ahead`: a folder of its own for the write-ahead log."""
    made = Cluster(folder, write_ahead, **settings)
    try:
        made.create(encoding=encoding)
        yield made
    finally:
        made.stop()


@contextmanager
def standby(primary: Cluster, folder: Path, name: str) -> Iterator[Cluster]:
    """Streams from the primary."""
    made = Cluster(folder)
    try:
        made.copy_of(primary, name)
        yield made
    finally:
        made.stop()
