"""A database that is full, busy or restarted under load: 503 for a while, then all is well."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from tests.db.load import Load, check_log, load
from tests.server.process import ServerProcess
from tests.support.postgres import USER, Cluster, cluster, give_to_account

PASSING = {"DATABASE_UNAVAILABLE", "OVERLOADED"}
CONNECTIONS = 20
# Of a new cluster some 40 MB are used.
DISK_MEGABYTES = 80


@contextmanager
def rollcall(folder: Path, url: str, **environment: str) -> Iterator[ServerProcess]:
    server = ServerProcess(
        folder / "rollcall", ROLLCALL_DATABASE_URL=url, ROLLCALL_MQTT="off", **environment
    )
    server.start()
    try:
        yield server
    finally:
        server.kill()


async def check_well(running: Load, server: ServerProcess, *codes: str) -> None:
    """It has recovered by itself: nothing that is asked from now on is refused."""
    await running.goes_on()
    before = running.codes.copy()
    await running.goes_on()
    assert running.codes == before
    assert set(running.codes) <= PASSING | set(codes)
    assert not running.odd
    check_log(server)
    await running.until(server.ready)


async def test_fewer_connections_than_it_would_take(
    server: Cluster, url: str, tmp_path: Path
) -> None:
    server.sql(f"ALTER ROLE {USER} CONNECTION LIMIT {CONNECTIONS}")
    try:
        with rollcall(tmp_path, url) as running:
            async with load(running, lists=40, clients=40) as crowd:
                await crowd.acknowledged(150)
                assert set(crowd.codes) <= PASSING
                assert not crowd.odd
            async with load(running, lists=2, clients=2) as few:
                await check_well(few, running)
            assert "lower ROLLCALL_DATABASE_CONNECTIONS" in running.output
    finally:
        server.sql(f"ALTER ROLE {USER} CONNECTION LIMIT -1")


async def test_a_restart_under_load(server: Cluster, url: str, tmp_path: Path) -> None:
    with rollcall(tmp_path, url) as running:
        async with load(running, lists=8) as crowd:
            await crowd.acknowledged(100)
            await asyncio.to_thread(server.restart)
            await check_well(crowd, running)
            assert crowd.codes


async def test_all_backends_are_ended(server: Cluster, url: str, tmp_path: Path) -> None:
    """As an administrator does it, again and again."""
    end = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '{USER}'"
    with rollcall(tmp_path, url) as running:
        async with load(running, lists=8) as crowd:
            for _ in range(5):
                await crowd.acknowledged(20)
                await asyncio.to_thread(server.sql, end)
            await check_well(crowd, running)


@pytest.mark.parametrize("options", ["", "?options=-c%20statement_timeout%3D1s"])
async def test_a_lock_that_is_held_for_long(url: str, tmp_path: Path, options: str) -> None:
    seconds = "2" if not options else "15"
    with rollcall(tmp_path, url + options, ROLLCALL_MAX_OPERATION_SECONDS=seconds) as running:
        async with load(running, lists=8) as crowd:
            await crowd.acknowledged(50)
            holder = await asyncpg.connect(url)
            async with holder.transaction():
                await holder.execute("LOCK TABLE devices, events")
                await crowd.until(lambda: crowd.codes.total() > 20)
                assert running.alive()
            await holder.close()
            refused = {"TIMED_OUT"} if not options else set()
            crowd.odd = [each for each in crowd.odd if not any(code in each for code in refused)]
            await check_well(crowd, running, *refused)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, check=False, capture_output=True, text=True)
    if mounted.returncode != 0:
        if os.environ.get("CI") == "true":
            pytest.fail(f"A file system could not be mounted: {mounted.stderr}")
        pytest.skip("may not mount a file system")
    try:
        give_to_account(folder)
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def test_a_full_disk(small_disk: Path, tmp_path: Path) -> None:
    with (
        cluster(small_disk / "data", write_ahead=tmp_path / "wal") as server,
        rollcall(tmp_path, server.url) as running,
    ):
        async with load(running, lists=4) as crowd:
            await crowd.acknowledged(20)
            ballast = small_disk / "ballast"
            _fill(ballast)
            await crowd.until(lambda: crowd.codes["DATABASE_UNAVAILABLE"] > 20)
            ballast.unlink()
            await check_well(crowd, running)
        assert "No space left" in server.log.read_text()


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return
