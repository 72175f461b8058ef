"""SIGTERM: running requests are completed, subscribers are notified, and the server ends soon."""

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
    """Return a connection whose lock blocks registrations."""
    connection = await server.connection()
    await connection.execute("BEGIN; LOCK TABLE devices IN SHARE MODE")
    return connection


async def register(server: ServerProcess) -> httpx.Response:
    body = {"query": REGISTER, "variables": {"input": BENCH}}
    headers = {"Authorization": f"Bearer {ADMIN}"}
    async with httpx.AsyncClient() as client:
        return await client.post(f"{server.url}/graphql", json=body, headers=headers)


async def wait_for_lock(connection: Any) -> None:
    """Wait until a request waits for the lock."""
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    await until(lambda: connection.fetchval(waiting))


async def stopped(server: ServerProcess) -> int:
    assert server.process
    return await asyncio.to_thread(server.process.wait, WAIT_SECONDS)


async def test_sigterm_completes_running_request_and_notifies_subscribers(
    server: ServerProcess,
) -> None:
    connection = await blocked(server)
    async with await Socket.open(f"{server.url}/graphql", ADMIN) as socket:
        running = asyncio.create_task(register(server))
        await wait_for_lock(connection)
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
async def test_sigterm_ends_server_despite_blocked_request(server: ServerProcess) -> None:
    connection = await blocked(server)
    running = asyncio.create_task(register(server))
    await wait_for_lock(connection)
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


@pytest.mark.parametrize("twice", [False, True])
async def test_server_responds_while_draining(tmp_path: Path, twice: bool) -> None:
    drain = 600 if twice else min(30, round(3 * delay()))
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
        if twice:
            # A second signal ends the drain.
            server.process.send_signal(signal.SIGTERM)
        assert await stopped(server) == -signal.SIGTERM
        assert twice or time.monotonic() - since > drain
    finally:
        server.kill()
