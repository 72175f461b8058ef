"""The database, the broker or Telegram is frozen, unreachable, or never responds.

Servers report it, recover by themselves, and stop within ten seconds on SIGTERM.
"""

import asyncio
import json
import signal
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.events.live.serving import CHANGES, Socket
from tests.mqtt.observer import Observer
from tests.server.dependencies import Dependencies, black_hole
from tests.server.process import ADMIN, ServerProcess
from tests.support.client import BENCH, REGISTER
from tests.support.ports import free_port
from tests.support.timing import delay
from tests.support.waiting import WAIT_SECONDS, until, wait_for

TEN_SECONDS = 10
# Longer than two health checks of the database.
FROZEN_SECONDS = 9
CHANGE = """mutation ($id: ID!, $interval: Int!) {
  updateConfig(input: {deviceId: $id, intervalSeconds: $interval}) { errors { message } }
}"""


@pytest.fixture
def dependencies(tmp_path: Path) -> Iterator[Dependencies]:
    with Dependencies(tmp_path) as dependencies:
        yield dependencies


def stop(servers: list[ServerProcess]) -> None:
    """Stop all servers concurrently. Each must end in time and without a traceback."""
    since = time.monotonic()
    for server in servers:
        assert server.process
        server.process.send_signal(signal.SIGTERM)
    for server in servers:
        assert server.process
        assert server.process.wait(WAIT_SECONDS) == -signal.SIGTERM, server.output
    assert time.monotonic() - since < TEN_SECONDS * delay(), [server.output for server in servers]
    for server in servers:
        assert "Traceback" not in server.output


class Fleet:
    """A device, a subscriber at each server, and the messages of the broker and of Telegram."""

    def __init__(self, dependencies: Dependencies, stack: AsyncExitStack) -> None:
        self.dependencies = dependencies
        self._stack = stack
        self._interval = 100
        self._registered = 0

    async def open(self) -> None:
        self.device = self.register()
        self.sockets: list[Socket] = []
        for server in self.dependencies.servers:
            socket = await self._stack.enter_async_context(
                await Socket.open(f"{server.url}/graphql", ADMIN)
            )
            await socket.subscribe(query=CHANGES)
            self.sockets.append(socket)
        self.observer = await self._stack.enter_async_context(
            Observer(self.dependencies.broker.port, "", "")
        )
        await self.observer.subscribe("#", 1)
        await self.works()

    def register(self) -> Any:
        self._registered += 1
        mac = f"24:6f:28:00:00:{self._registered:02x}"
        answer = self.dependencies.servers[0].ask(REGISTER, input={**BENCH, "mac": mac})
        assert answer, "no answer"
        return answer["registerDevice"]["device"]

    def change(self) -> int:
        self._interval += 1
        device, interval = self.device["id"], self._interval
        answer = self.dependencies.servers[-1].ask(CHANGE, id=device, interval=interval)
        assert answer["updateConfig"]["errors"] == []
        return interval

    async def works(self) -> None:
        """Check that a change reaches each subscriber and the broker, and an alert Telegram."""
        await self.is_received(self.change())
        await self.is_alerted(self.register()["id"])

    async def is_received(self, interval: int) -> None:
        for socket in self.sockets:
            async with asyncio.timeout(WAIT_SECONDS):
                while (await socket.change())["config"]["intervalSeconds"] != interval:
                    pass
        await self.is_published(interval)

    async def is_published(self, interval: int) -> None:
        topic = self.device["topics"]["config"]
        await until(
            lambda: json.loads(self.observer.latest.get(topic, b"{}")).get("interval") == interval
        )

    async def is_alerted(self, text: str) -> None:
        await until(lambda: text in self.dependencies.alerts.read_text())


@pytest.mark.parametrize("count", [1, 2])
async def test_server_recovers_from_frozen_database(dependencies: Dependencies, count: int) -> None:
    servers = dependencies.start(count)
    async with AsyncExitStack() as stack:
        fleet = Fleet(dependencies, stack)
        await fleet.open()
        since = time.monotonic()
        dependencies.freeze("database")
        for server in servers:
            await asyncio.to_thread(wait_for, lambda s=server: not s.ready())
        await asyncio.sleep(max(0.0, since + FROZEN_SECONDS - time.monotonic()))
        dependencies.thaw()
        for server in servers:
            await asyncio.to_thread(wait_for, server.ready)
        await fleet.works()
        dependencies.freeze("database")
        await asyncio.to_thread(stop, servers)


@pytest.mark.parametrize("count", [1, 2])
async def test_frozen_broker_delays_nothing_else(dependencies: Dependencies, count: int) -> None:
    servers = dependencies.start(count)
    async with AsyncExitStack() as stack:
        fleet = Fleet(dependencies, stack)
        await fleet.open()
        dependencies.freeze("broker")
        interval = fleet.change()
        await fleet.is_alerted(fleet.register()["id"])
        assert all(server.ready() for server in servers)
        dependencies.thaw()
        await fleet.is_received(interval)
        dependencies.freeze("broker")
        fleet.change()
        await asyncio.to_thread(stop, servers)


@pytest.mark.parametrize("count", [1, 2])
async def test_frozen_telegram_delays_nothing_else(dependencies: Dependencies, count: int) -> None:
    servers = dependencies.start(count)
    async with AsyncExitStack() as stack:
        fleet = Fleet(dependencies, stack)
        await fleet.open()
        dependencies.freeze("telegram")
        device = fleet.register()["id"]
        await fleet.is_received(fleet.change())
        assert all(server.ready() for server in servers)
        dependencies.thaw()
        await fleet.is_alerted(device)
        dependencies.freeze("telegram")
        fleet.register()
        await asyncio.to_thread(stop, servers)


SETTINGS = {
    "database": {"ROLLCALL_DATABASE_URL": "postgresql://rollcall:secret@127.0.0.1:{port}/rollcall"},
    "broker": {"ROLLCALL_MQTT_URL": "mqtt://127.0.0.1:{port}"},
    "broker with TLS": {"ROLLCALL_MQTT_URL": "mqtts://127.0.0.1:{port}"},
    "telegram": {
        "TELEGRAM_BOT_TOKEN": "123456:" + 35 * "a",
        "TELEGRAM_CHAT_ID": "11",
        "TELEGRAM_API_URL": "http://127.0.0.1:{port}",
    },
    "webhook": {
        "ROLLCALL_WEBHOOK_URL": "http://127.0.0.1:{port}",
        "ROLLCALL_WEBHOOK_SECRET": "0123456789abcdef",
    },
    "collector": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:{port}"},
}


@pytest.mark.parametrize("failure", ["no response", "not listening"])
@pytest.mark.parametrize("what", SETTINGS)
def test_unreachable_dependency_delays_neither_start_nor_stop(
    tmp_path: Path, what: str, failure: str
) -> None:
    with black_hole() as hole:
        port = hole if failure == "no response" else free_port()
        settings = {name: value.format(port=port) for name, value in SETTINGS[what].items()}
        server = ServerProcess(tmp_path / "data", **settings)
        server.wait_for_database = what != "database"
        server.start()
        try:
            assert httpx.get(f"{server.url}/healthz").status_code == 200
            if what != "database":
                server.ask(REGISTER, input=BENCH)
            else:
                assert not server.ready()
            stop([server])
        finally:
            server.kill()
