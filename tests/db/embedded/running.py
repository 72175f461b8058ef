"""Helpers for an embedded PostgreSQL, and for processes that are not part of it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from db.embedded import EmbeddedPostgres
from tests.server.process import wait_for

ROOT = Path(__file__).parent.parent.parent.parent
RECORDS_SIGNALS = """
import os, signal, sys, time
if int(sys.argv[1]) != os.geteuid():
    os.setuid(int(sys.argv[1]))
for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
    signal.signal(number, lambda got, _: print(signal.Signals(got).name, flush=True))
print("ready", flush=True)
while True:
    time.sleep(1)
"""


async def ask(url: str, statement: str) -> list[Any]:
    connection = await asyncpg.connect(url)
    try:
        return list(await connection.fetch(statement))
    finally:
        await connection.close()


@contextmanager
def started(data_dir: Path) -> Iterator[EmbeddedPostgres]:
    postgres = EmbeddedPostgres(data_dir)
    try:
        postgres.start()
        yield postgres
    finally:
        postgres.stop()


def copied(source: Path, target: Path) -> Path:
    """Copy a folder with its file owners, which Python's copy functions do not keep."""
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)
    return target


def moved(source: Path, target: Path) -> Path:
    return source.rename(target)


def pid_file(data_dir: Path) -> Path:
    return data_dir / "postgres" / "postmaster.pid"


def crash(postgres: EmbeddedPostgres) -> None:
    """Kill all processes at once, as a power failure does; files remain."""
    server = psutil.Process(postgres.pid)
    processes = [server, *server.children(recursive=True)]
    for act in (psutil.Process.suspend, psutil.Process.kill):
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                act(process)
    wait_for(lambda: not any(psutil.pid_exists(process.pid) for process in processes[1:]))
    wait_for(lambda: not postgres.running)


class UnrelatedProcess:
    """A process that records the signals it receives; `owner` is a user id."""

    def __init__(self, folder: Path, owner: int) -> None:
        self._output = folder / "signals"
        command = [sys.executable, "-c", RECORDS_SIGNALS, str(owner)]
        with self._output.open("w") as output:
            self._process = subprocess.Popen(command, stdout=output)
        self.pid = self._process.pid
        wait_for(lambda: "ready" in self._output.read_text())

    @property
    def signals(self) -> list[str]:
        assert self._process.poll() is None
        return self._output.read_text().split()[1:]

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


def as_owner_of(path: Path) -> dict[str, Any]:
    """Return arguments of `subprocess` that run a command as the owner of `path`."""
    status = path.stat()
    if status.st_uid == os.geteuid():
        return {}
    return {"user": status.st_uid, "group": status.st_gid, "extra_groups": []}
