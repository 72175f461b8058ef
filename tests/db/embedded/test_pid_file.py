"""`postmaster.pid` after a crash: its number may belong to any process by now."""

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
    Stranger,
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
    """Of a server that has crashed."""
    crashed(data_dir)
    return data_dir


def crashed(data_dir: Path) -> EmbeddedPostgres:
    with started(data_dir) as postgres:
        crash(postgres)
        return postgres


def put_number(data_dir: Path, pid: int) -> None:
    """Into both files that PostgreSQL looks at when it starts."""
    file = read_pid_file(data_dir / "postgres")
    assert file
    assert file.socket
    for path in (pid_file(data_dir), file.socket.with_name(f"{file.socket.name}.lock")):
        _, rest = path.read_text().split("\n", 1)
        path.write_text(f"{pid}\n{rest}")


@pytest.mark.parametrize("same_user", [True, False])
async def test_a_stranger_with_its_number_is_left_alone(
    data_dir: Path, tmp_path: Path, same_user: bool
) -> None:
    postgres = EmbeddedPostgres(data_dir)
    owner = (data_dir / "postgres").stat().st_uid if same_user else os.geteuid()
    stranger = Stranger(tmp_path, owner)
    try:
        put_number(data_dir, stranger.pid)
        assert not postgres.running
        url = postgres.start()
        assert postgres.pid != stranger.pid
        assert [row[0] for row in await ask(url, "SELECT 1")] == [1]
        postgres.stop()
        # Also where it stops one that it has not started.
        put_back = EmbeddedPostgres(data_dir)
        put_back.start()
        server = psutil.Process(put_back.pid)
        put_number(data_dir, stranger.pid)
        put_back.stop()
        assert stranger.signals == []
        server.send_signal(signal.SIGINT)
        wait_for(lambda: not put_back.running)
    finally:
        stranger.end()


@pytest.mark.parametrize("text", ["", "\n", "x\n", "0\n", "99999999999\n", "1\n", "-1\n"])
def test_a_broken_file_is_no_obstacle(data_dir: Path, text: str) -> None:
    pid_file(data_dir).write_text(text)
    with started(data_dir) as postgres:
        assert postgres.running


def test_this_very_process_is_no_obstacle(data_dir: Path) -> None:
    put_number(data_dir, os.getpid())
    with started(data_dir) as postgres:
        assert postgres.pid != os.getpid()


async def test_the_number_of_another_folders_server(data_dir: Path, tmp_path: Path) -> None:
    """A copy of a data folder names the server of the one that it was copied from."""
    with started(moved(data_dir, tmp_path / "My one")) as one:
        await ask(one.start(), "CHECKPOINT")
        copied(tmp_path / "My one", tmp_path / "two")
        with started(tmp_path / "two") as two:
            assert two.pid != one.pid
            assert await ask(two.start(), "SELECT 1")
        assert await ask(one.start(), "SELECT 1")


def test_a_server_that_cannot_be_seen_is_not_joined_by_a_second(data_dir: Path) -> None:
    """As one in another container, which has other numbers for its processes."""
    with started(data_dir) as postgres:
        server = postgres.pid
        right = pid_file(data_dir).read_text()
        put_number(data_dir, 1)
        with pytest.raises(PostgresFailed, match="another container"), started(data_dir):
            pass
        pid_file(data_dir).write_text(right)
        assert postgres.pid == server


async def test_one_that_was_left_running_is_taken_up(data_dir: Path) -> None:
    """As earlier versions of Rollcall have started it, from elsewhere."""
    folder, postgres = data_dir / "postgres", EmbeddedPostgres(data_dir)
    old = left_running(folder)
    wait_for(lambda: postgres.running and b"ready" in pid_file(data_dir).read_bytes())
    url = postgres.start()
    assert postgres.pid == old.pid
    assert await ask(url, "SELECT 1")
    postgres.stop()
    assert old.wait(10) == 0


def left_running(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [program("postgres"), "-D", str(folder), "-h", "", "-k", str(folder)],
        **as_owner_of(folder),
    )
