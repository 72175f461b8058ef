"""Starts and stops end in time, whatever state the server is in."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from db.embedded import EmbeddedPostgres, PostgresFailed, PostgresUnusable
from tests.db.embedded.running import ROOT, ask, crash, pid_file, started
from tests.server.process import wait_for

MAX_START_SECONDS = 10


@pytest.fixture
def postgres(data_dir: Path) -> Iterator[EmbeddedPostgres]:
    with started(data_dir) as postgres:
        yield postgres


@pytest.fixture
def frozen(postgres: EmbeddedPostgres) -> Iterator[psutil.Process]:
    server = psutil.Process(postgres.pid)
    processes = [server, *server.children(recursive=True)]
    for process in processes:
        process.suspend()
    yield server
    for process in reversed(processes):
        if process.is_running():
            process.resume()


def test_stop_of_frozen_server_ends_in_time(
    postgres: EmbeddedPostgres, frozen: psutil.Process, caplog: pytest.LogCaptureFixture
) -> None:
    since = time.monotonic()
    postgres.stop(1.0)
    assert time.monotonic() - since < 2
    assert str(frozen.pid) in caplog.text
    assert frozen.is_running()
    # The next start reports the frozen server and starts no second one.
    since = time.monotonic()
    with pytest.raises(PostgresFailed, match=f"kill -CONT {frozen.pid}") as failed:
        postgres.start()
    assert time.monotonic() - since < MAX_START_SECONDS
    assert not isinstance(failed.value, PostgresUnusable)
    for process in reversed([frozen, *frozen.children(recursive=True)]):
        process.resume()
    # The signal was pending while the server was frozen.
    wait_for(lambda: not postgres.running)
    postgres.start()
    assert postgres.pid != frozen.pid


async def test_stop_with_open_connections_ends_in_time(postgres: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(postgres.start())
    await connection.execute("BEGIN; CREATE TABLE x (y int)")
    postgres.stop()
    assert not postgres.running
    connection.terminate()


def test_stop_aborts_running_start(tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path / "data")
    failures: list[BaseException] = []

    def start() -> None:
        try:
            postgres.start()
        except PostgresFailed as failed:
            failures.append(failed)

    thread = threading.Thread(target=start)
    thread.start()
    wait_for((tmp_path / "data" / "postgres.lock").exists)
    postgres.stop(10)
    thread.join()
    assert not postgres.running
    assert len(failures) == 1
    # The remaining files do not prevent the next start.
    with started(tmp_path / "data"):
        assert postgres.running


def test_last_of_several_processes_stops_server(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    other = EmbeddedPostgres(tmp_path / "data")
    other.start()
    postgres.stop()
    assert other.running
    other.stop()
    assert not other.running


def test_concurrent_starts_share_one_server(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from db.embedded import EmbeddedPostgres\n"
        "postgres = EmbeddedPostgres(Path(sys.argv[1])); postgres.start()\n"
        "print(postgres.pid, flush=True); sys.stdin.read(); postgres.stop()"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "data")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        for _ in range(4)
    ]
    try:
        pids = set()
        for process in processes:
            assert process.stdout
            pids.add(int(process.stdout.readline()))
        assert len(pids) == 1
    finally:
        for process in processes:
            process.communicate()
    assert [process.returncode for process in processes] == [0] * 4
    wait_for(lambda: not EmbeddedPostgres(tmp_path / "data").running)


async def test_start_fails_while_server_is_stopping(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    """A smart shutdown waits for its clients."""
    connection = await asyncpg.connect(postgres.start())
    first = postgres.pid
    os.kill(first, signal.SIGTERM)
    wait_for(lambda: "stopping" in pid_file(tmp_path / "data").read_text())
    with pytest.raises(PostgresFailed, match="is stopping"):
        postgres.start()
    await connection.close()
    assert await ask(postgres.start(), "SELECT 1")
    assert postgres.pid != first


def test_start_during_recovery_names_the_process(
    postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The startup process is frozen, as if recovery took long."""
    monkeypatch.setattr("db.embedded.server.START_SECONDS", 2.0)
    crash(postgres)
    start_attempt = threading.Thread(target=pytest.raises, args=(PostgresFailed, postgres.start))
    start_attempt.start()
    startup: list[psutil.Process] = []

    def startup_suspended() -> bool:
        startup[:] = [
            child
            for child in (psutil.Process(postgres.pid).children() if postgres.running else [])
            if "startup" in " ".join(child.cmdline())
        ]
        for child in startup:
            child.suspend()
        return bool(startup) or not start_attempt.is_alive()

    wait_for(startup_suspended)
    if not startup:
        pytest.skip("recovery was too fast to observe")
    pid = postgres.pid
    start_attempt.join()
    with pytest.raises(PostgresFailed, match=f"process {pid}.* recovers") as failed:
        postgres.start()
    assert not isinstance(failed.value, PostgresUnusable)
    startup[0].resume()
    monkeypatch.undo()
    postgres.start()
    assert postgres.pid == pid


def test_leftover_processes_of_killed_server_are_named(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    server = psutil.Process(postgres.pid)
    leftover = server.children()[0]
    leftover.suspend()
    file = pid_file(tmp_path / "data")
    _, rest = file.read_text().split("\n", 1)
    try:
        server.kill()
        wait_for(lambda: not postgres.running)
        with pytest.raises(PostgresFailed, match=str(leftover.pid)) as failed:
            postgres.start()
        assert not isinstance(failed.value, PostgresUnusable)
        # The same if the old file names another process.
        file.write_text(f"{os.getpid()}\n{rest}")
        with pytest.raises(PostgresFailed, match=str(leftover.pid)):
            postgres.start()
    finally:
        leftover.kill()
    wait_for(lambda: not psutil.pid_exists(leftover.pid))
    postgres.start()
