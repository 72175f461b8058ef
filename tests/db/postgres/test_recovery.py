"""A full, busy or restarted database under load: 503 for a while, then the server recovers."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from tests.db.postgres.load import Load, check_log, load
from tests.server.process import ServerProcess
from tests.support.postgres import USER, Cluster, cluster, give_to_account

TRANSIENT_CODES = {"DATABASE_UNAVAILABLE", "OVERLOADED"}
CONNECTIONS = 20
# A new cluster uses some 40 MB.
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


async def check_recovered(running: Load, server: ServerProcess, *codes: str) -> None:
    """Assert that the server has recovered: no further request fails."""
    await running.continues()
    before = running.codes.copy()
    await running.continues()
    assert running.codes == before
    assert set(running.codes) <= TRANSIENT_CODES | set(codes)
    assert not running.unexpected
    check_log(server)
    await running.until(server.ready)


async def test_server_recovers_from_role_connection_limit(
    server: Cluster, url: str, tmp_path: Path
) -> None:
    server.sql(f"ALTER ROLE {USER} CONNECTION LIMIT {CONNECTIONS}")
    try:
        with rollcall(tmp_path, url) as running:
            async with load(running, lists=40, clients=40) as clients:
                await clients.acknowledged(150)
                assert set(clients.codes) <= TRANSIENT_CODES
                assert not clients.unexpected
            async with load(running, lists=2, clients=2) as few:
                await check_recovered(few, running)
            assert "lower ROLLCALL_DATABASE_CONNECTIONS" in running.output
    finally:
        server.sql(f"ALTER ROLE {USER} CONNECTION LIMIT -1")


async def test_server_recovers_from_database_restart(
    server: Cluster, url: str, tmp_path: Path
) -> None:
    with rollcall(tmp_path, url) as running:
        async with load(running, lists=8) as clients:
            await clients.acknowledged(100)
            await asyncio.to_thread(server.restart)
            await check_recovered(clients, running)
            assert clients.codes


async def test_server_recovers_from_terminated_backends(
    server: Cluster, url: str, tmp_path: Path
) -> None:
    """An administrator terminates all connections several times."""
    end = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '{USER}'"
    with rollcall(tmp_path, url) as running:
        async with load(running, lists=8) as clients:
            for _ in range(5):
                await clients.acknowledged(20)
                await asyncio.to_thread(server.sql, end)
            await check_recovered(clients, running)


@pytest.mark.parametrize("options", ["", "?options=-c%20statement_timeout%3D1s"])
async def test_server_recovers_from_long_table_lock(url: str, tmp_path: Path, options: str) -> None:
    seconds = "2" if not options else "15"
    with rollcall(tmp_path, url + options, ROLLCALL_MAX_OPERATION_SECONDS=seconds) as running:
        async with load(running, lists=8) as clients:
            await clients.acknowledged(50)
            lock_connection = await asyncpg.connect(url)
            async with lock_connection.transaction():
                await lock_connection.execute("LOCK TABLE devices, events")
                await clients.until(lambda: clients.codes.total() > 20)
                assert running.alive()
            await lock_connection.close()
            refused = {"TIMED_OUT"} if not options else set()
            clients.unexpected = [
                each for each in clients.unexpected if not any(code in each for code in refused)
            ]
            await check_recovered(clients, running, *refused)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, check=False, capture_output=True, text=True)
    if mounted.returncode != 0:
        if os.environ.get("CI") == "true":
            pytest.fail(f"A file system could not be mounted: {mounted.stderr}")
        pytest.skip("mounting a file system is not permitted")
    try:
        give_to_account(folder)
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def test_server_recovers_from_full_disk(small_disk: Path, tmp_path: Path) -> None:
    with (
        cluster(small_disk / "data", write_ahead=tmp_path / "wal") as server,
        rollcall(tmp_path, server.url) as running,
    ):
        async with load(running, lists=4) as clients:
            await clients.acknowledged(20)
            ballast = small_disk / "ballast"
            _fill(ballast)
            await clients.until(lambda: clients.codes["DATABASE_UNAVAILABLE"] > 20)
            ballast.unlink()
            await check_recovered(clients, running)
        assert "No space left" in server.log.read_text()


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return
