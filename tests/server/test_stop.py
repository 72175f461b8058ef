"""SIGTERM: what runs is finished, those who stay connected are told, and it is over soon."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio

from tests.events.live.serving import Socket
from tests.server.process import ADMIN, ServerProcess
from tests.support.client import BENCH, REGISTER
from tests.support.timing import delay
from tests.support.waiting import WAIT_SECONDS, until

TEN_SECONDS = 10


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    server = ServerProcess(tmp_path / "data")
    server.start()
    yield server
    server.stop()


async def blocked(server: ServerProcess) -> asyncpg.Connection:
    """A connection that keeps everybody from registering devices."""
    connection = await server.connection()
    await connection.execute("BEGIN; LOCK TABLE devices IN SHARE MODE")
    return connection


async def register(server: ServerProcess) -> httpx.Response:
    body = {"query": REGISTER, "variables": {"input": BENCH}}
    headers = {"Authorization": f"Bearer {ADMIN}"}
    async with httpx.AsyncClient() as client:
        return await client.post(f"{server.url}/graphql", json=body, headers=headers)


async def waits(connection: Any) -> None:
    """Until a request waits for the lock."""
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    await until(lambda: connection.fetchval(waiting))


async def stopped(server: ServerProcess) -> int:
    assert server.process
    return await asyncio.to_thread(server.process.wait, WAIT_SECONDS)


async def test_what_runs_is_finished_and_followers_are_told(server: ServerProcess) -> None:
    connection = await blocked(server)
    async with await Socket.open(f"{server.url}/graphql", ADMIN) as socket:
        running = asyncio.create_task(register(server))
        await waits(connection)
        assert server.process
        server.process.send_signal(signal.SIGTERM)
        assert (await socket.closing())[0] == 1012
    assert not running.done()
    await connection.execute("COMMIT")
    await connection.close()
    response = await running
    assert response.json()["data"]["registerDevice"]["outcome"] == "CREATED"
    assert await stopped(server) == -signal.SIGTERM


@pytest.mark.alone
async def test_what_does_not_end_is_not_waited_for(server: ServerProcess) -> None:
    connection = await blocked(server)
    running = asyncio.create_task(register(server))
    await waits(connection)
    assert server.process
    since = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert await stopped(server) == -signal.SIGTERM
    assert time.monotonic() - since < TEN_SECONDS * delay()
    await asyncio.gather(running, return_exceptions=True)
    connection.terminate()


async def status(server: ServerProcess, path: str) -> int:
    async with httpx.AsyncClient() as client:
        return (await client.get(f"{server.url}{path}")).status_code


@pytest.mark.parametrize("hurried", [False, True])
async def test_it_serves_on_while_it_is_drained(tmp_path: Path, hurried: bool) -> None:
    drain = 600 if hurried else min(30, round(3 * delay()))
    server = ServerProcess(tmp_path / "data", ROLLCALL_DRAIN_SECONDS=str(drain))
    server.start()
    try:
        assert server.process
        since = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(WAIT_SECONDS):
            while await status(server, "/readyz") != 503:
                pass
        assert await status(server, "/healthz") == 200
        assert (await register(server)).json()["data"]["registerDevice"]["outcome"] == "CREATED"
        if hurried:
            # Asked again, it does not wait any longer.
            server.process.send_signal(signal.SIGTERM)
        assert await stopped(server) == -signal.SIGTERM
        assert hurried or time.monotonic() - since > drain
    finally:
        server.kill()


async def test_a_terminal_that_is_closed_leaves_nothing_behind(server: ServerProcess) -> None:
    assert server.process
    assert server.postgres_pid
    server.process.send_signal(signal.SIGHUP)
    assert await stopped(server) == -signal.SIGTERM
    assert not (server.data_dir / "postgres" / "postmaster.pid").exists()
