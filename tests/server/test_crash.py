"""What was answered is there, whatever is killed."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.server.process import ServerProcess, register_many, wait_for

COUNT = 500


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    server = ServerProcess(tmp_path / "data")
    server.start()
    try:
        yield server
    finally:
        server.stop()


async def check_all_there(server: ServerProcess, answered: set[str]) -> None:
    devices = {row["id"] for row in await server.rows("SELECT id FROM devices")}
    registered = await server.rows("SELECT device_id FROM events WHERE kind = 'device_registered'")
    assert answered <= devices
    assert sorted(row["device_id"] for row in registered) == sorted(devices)


async def test_the_server_is_killed_during_registrations(server: ServerProcess) -> None:
    answered = await register_many(server, COUNT, retry=False, halfway=server.kill)
    assert COUNT // 2 <= len(answered) < COUNT
    server.start()
    await check_all_there(server, answered)
    assert server.ask("{ devices { totalCount } }")["devices"]["totalCount"] >= len(answered)


async def test_postgres_is_killed_during_registrations(server: ServerProcess) -> None:
    def kill_postgres() -> None:
        os.kill(server.postgres_pid, signal.SIGKILL)

    answered = await register_many(server, COUNT, retry=True, halfway=kill_postgres)
    assert len(answered) == COUNT
    await check_all_there(server, answered)


def test_a_clean_stop_stops_postgres_too(server: ServerProcess) -> None:
    postgres = psutil.Process(server.postgres_pid)
    assert server.stop() == -signal.SIGTERM
    wait_for(lambda: not postgres.is_running())


def test_postgres_is_stopped_also_after_a_crash_in_between(server: ServerProcess) -> None:
    postgres = psutil.Process(server.postgres_pid)
    server.kill()
    assert postgres.is_running()
    server.start()
    assert server.postgres_pid == postgres.pid
    assert server.stop() == -signal.SIGTERM
    wait_for(lambda: not postgres.is_running())
