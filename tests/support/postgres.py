"""Clusters of the installed PostgreSQL, each with its own folder and port."""

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
    """Return the newest installed version's folder. Skip the test if there is none (fail in CI)."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    if not found:
        missing("postgresql")
    return found[-1].parent


def missing(package: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{package} is not installed.")
    pytest.skip(f"needs {package}")


def as_account(*command: str) -> list[str]:
    """Run as another user if the tests run as root: PostgreSQL and PgBouncer refuse root."""
    if os.geteuid() != 0:
        return list(command)
    account = pwd.getpwnam(ACCOUNT)
    options = [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    return ["setpriv", *options, *command]


def give_to_account(path: Path) -> None:
    """Also make the parent folders that belong to root accessible."""
    if os.geteuid() != 0:
        return
    account = pwd.getpwnam(ACCOUNT)
    os.chown(path, account.pw_uid, account.pw_gid)
    for parent in path.parents:
        status = parent.stat()
        if status.st_uid != account.pw_uid and not status.st_mode & 0o001:
            parent.chmod(status.st_mode | 0o001)


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
    """`create` makes a primary with the database `rollcall` and its owner, `copy_of` a standby.
    `write_ahead`: a separate folder for the write-ahead log.
    """

    def __init__(self, folder: Path, write_ahead: Path | None = None, **settings: str) -> None:
        self.bin = bin_folder()
        self.folder = folder
        self.write_ahead = write_ahead
        self.port = free_port()
        self.settings = {**SETTINGS, **settings}
        self.log = folder.parent / f"{folder.name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"postgresql://{USER}:{QUOTED}@{self.address}/rollcall"

    def create(self, *, encoding: str = "UTF8") -> None:
        self._make_folder()
        options = ["-U", ACCOUNT, "-E", encoding, "--locale=C", "-A", "trust", "-N"]
        if self.write_ahead:
            self.write_ahead.mkdir(mode=0o700)
            give_to_account(self.write_ahead)
            options.append(f"--waldir={self.write_ahead}")
        self._run("initdb", *options)
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
        """Create a streaming standby. `name`: its application_name on the primary."""
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
        options = ["-h", "127.0.0.1", "-p", str(self.port), "-U", ACCOUNT, "-d", database]
        return run(str(self.bin / "psql"), *options, "-XAtqc", statement).strip()

    def promote(self) -> None:
        self.sql("SELECT pg_promote()")
        assert self.sql("SELECT pg_is_in_recovery()") == "f"

    def processes(self) -> list[psutil.Process]:
        """Return the postmaster and its child processes."""
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
        """Stop all processes, also frozen ones. Do nothing if the postmaster is not running."""
        if self.process is None or self.process.poll() is not None:
            return
        processes = self.processes()
        self.thaw()
        self.process.send_signal(mode)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            for each in processes:
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
    primary = Cluster(folder, write_ahead, **settings)
    try:
        primary.create(encoding=encoding)
        yield primary
    finally:
        primary.stop()


@contextmanager
def standby(primary: Cluster, folder: Path, name: str) -> Iterator[Cluster]:
    replica = Cluster(folder)
    try:
        replica.copy_of(primary, name)
        yield replica
    finally:
        replica.stop()
