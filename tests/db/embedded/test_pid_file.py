"""`postmaster.pid` after a crash: the process id may belong to another process."""

import os
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from db.embedded import EmbeddedPostgres, PostgresFailed
from db.embedded.binaries import program
from db.embedded.pid_file import read_pid_file
from tests.db.embedded.running import (
    UnrelatedProcess,
    as_owner_of,
    ask,
    copied,
    crash,
    moved,
    pid_file,
    started,
)
from tests.server.process import wait_for


@pytest.fixture
def data_dir(data_dir: Path) -> Path:
    """The data directory of a crashed server."""
    crashed(data_dir)
    return data_dir


def crashed(data_dir: Path) -> EmbeddedPostgres:
    with started(data_dir) as postgres:
        crash(postgres)
        return postgres


def write_pid(data_dir: Path, pid: int) -> None:
    """Write the process id to both files that PostgreSQL checks at its start."""
    file = read_pid_file(data_dir / "postgres")
    assert file
    assert file.socket
    for path in (pid_file(data_dir), file.socket.with_name(f"{file.socket.name}.lock")):
        _, rest = path.read_text().split("\n", 1)
        path.write_text(f"{pid}\n{rest}")


@pytest.mark.parametrize("same_user", [True, False])
async def test_unrelated_process_with_that_pid_gets_no_signal(
    data_dir: Path, tmp_path: Path, same_user: bool
) -> None:
    postgres = EmbeddedPostgres(data_dir)
    owner = (data_dir / "postgres").stat().st_uid if same_user else os.geteuid()
    unrelated = UnrelatedProcess(tmp_path, owner)
    try:
        write_pid(data_dir, unrelated.pid)
        assert not postgres.running
        url = postgres.start()
        assert postgres.pid != unrelated.pid
        assert [row[0] for row in await ask(url, "SELECT 1")] == [1]
        postgres.stop()
        # The same for a stop of a server that this object has not started.
        restarted = EmbeddedPostgres(data_dir)
        restarted.start()
        server = psutil.Process(restarted.pid)
        write_pid(data_dir, unrelated.pid)
        restarted.stop()
        assert unrelated.signals == []
        server.send_signal(signal.SIGINT)
        wait_for(lambda: not restarted.running)
    finally:
        unrelated.end()


@pytest.mark.parametrize("text", ["", "\n", "x\n", "0\n", "99999999999\n", "1\n", "-1\n"])
def test_start_with_invalid_pid_file(data_dir: Path, text: str) -> None:
    pid_file(data_dir).write_text(text)
    with started(data_dir) as postgres:
        assert postgres.running


def test_start_with_pid_of_this_process_in_file(data_dir: Path) -> None:
    write_pid(data_dir, os.getpid())
    with started(data_dir) as postgres:
        assert postgres.pid != os.getpid()


async def test_pid_of_server_of_another_data_directory(data_dir: Path, tmp_path: Path) -> None:
    """A copied data directory names the server of the original."""
    with started(moved(data_dir, tmp_path / "My one")) as one:
        await ask(one.start(), "CHECKPOINT")
        copied(tmp_path / "My one", tmp_path / "two")
        with started(tmp_path / "two") as two:
            assert two.pid != one.pid
            assert await ask(two.start(), "SELECT 1")
        assert await ask(one.start(), "SELECT 1")


def test_no_second_server_is_started_beside_invisible_one(data_dir: Path) -> None:
    """For example, a server in another container, where process ids differ."""
    with started(data_dir) as postgres:
        server = postgres.pid
        correct_text = pid_file(data_dir).read_text()
        write_pid(data_dir, 1)
        with pytest.raises(PostgresFailed, match="another container"), started(data_dir):
            pass
        pid_file(data_dir).write_text(correct_text)
        assert postgres.pid == server


async def test_running_server_is_adopted(data_dir: Path) -> None:
    """Earlier versions of Rollcall started the server with other options."""
    folder, postgres = data_dir / "postgres", EmbeddedPostgres(data_dir)
    left_running = start_directly(folder)
    wait_for(lambda: postgres.running and b"ready" in pid_file(data_dir).read_bytes())
    url = postgres.start()
    assert postgres.pid == left_running.pid
    assert await ask(url, "SELECT 1")
    postgres.stop()
    assert left_running.wait(10) == 0


def start_directly(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [program("postgres"), "-D", str(folder), "-h", "", "-k", str(folder)],
        **as_owner_of(folder),
    )
