"""The database, the broker or Telegram is frozen, gone, or accepts and never answers: servers say
so, go on by themselves when it is back, and end within ten seconds whenever they are told to.
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
from tests.server.process import ADMIN, ServerProcess
from tests.server.surroundings import Surroundings, black_hole
from tests.support.client import BENCH, REGISTER
from tests.support.ports import free_port
from tests.support.timing import delay
from tests.support.waiting import WAIT_SECONDS, until, wait_for

TEN_SECONDS = 10
# Longer than two probes of the database may take.
FROZEN_SECONDS = 9
CHANGE = """mutation ($id: ID!, $interval: Int!) {
  updateConfig(input: {deviceId: $id, intervalSeconds: $interval}) { errors { message } }
}"""


@pytest.fixture
def around(tmp_path: Path) -> Iterator[Surroundings]:
    with Surroundings(tmp_path) as around:
        yield around


def stop(servers: list[ServerProcess]) -> None:
    """All at once; each has to end in time, and in an orderly way."""
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
    """One device, subscribers at each server, and a view of the broker and of Telegram."""

    def __init__(self, around: Surroundings, stack: AsyncExitStack) -> None:
        self.around = around
        self._stack = stack
        self._interval = 100
        self._registered = 0

    async def open(self) -> None:
        self.device = self.register()
        self.sockets: list[Socket] = []
        for server in self.around.servers:
            socket = await self._stack.enter_async_context(
                await Socket.open(f"{server.url}/graphql", ADMIN)
            )
            await socket.subscribe(query=CHANGES)
            self.sockets.append(socket)
        self.observer = await self._stack.enter_async_context(
            Observer(self.around.broker.port, "", "")
        )
        await self.observer.subscribe("#", 1)
        await self.goes_on()

    def register(self) -> Any:
        self._registered += 1
        mac = f"24:6f:28:00:00:{self._registered:02x}"
        answer = self.around.servers[0].ask(REGISTER, input={**BENCH, "mac": mac})
        assert answer, "no answer"
        return answer["registerDevice"]["device"]

    def change(self) -> int:
        self._interval += 1
        device, interval = self.device["id"], self._interval
        answer = self.around.servers[-1].ask(CHANGE, id=device, interval=interval)
        assert answer["updateConfig"]["errors"] == []
        return interval

    async def goes_on(self) -> None:
        """A change reaches each subscriber and the broker, an alert Telegram."""
        await self.is_heard_of(self.change())
        await self.is_alerted(self.register()["id"])

    async def is_heard_of(self, interval: int) -> None:
        for socket in self.sockets:
            async with asyncio.timeout(WAIT_SECONDS):
                while (await socket.change())["config"]["intervalSeconds"] != interval:
                    pass
        await self.is_published(interval)

    async def is_published(self, interval: int) -> None:
        topic = self.device["topics"]["config"]
        await until(
            lambda: json.loads(self.observer.kept.get(topic, b"{}")).get("interval") == interval
        )

    async def is_alerted(self, text: str) -> None:
        await until(lambda: text in self.around.alerts.read_text())


@pytest.mark.parametrize("count", [1, 2])
async def test_a_frozen_database_leaves_nothing_behind(around: Surroundings, count: int) -> None:
    servers = around.start(count)
    async with AsyncExitStack() as stack:
        fleet = Fleet(around, stack)
        await fleet.open()
        since = time.monotonic()
        around.freeze("database")
        for server in servers:
            await asyncio.to_thread(wait_for, lambda s=server: not s.ready())
        await asyncio.sleep(max(0.0, since + FROZEN_SECONDS - time.monotonic()))
        around.thaw()
        for server in servers:
            await asyncio.to_thread(wait_for, server.ready)
        await fleet.goes_on()
        around.freeze("database")
        await asyncio.to_thread(stop, servers)


@pytest.mark.parametrize("count", [1, 2])
async def test_a_frozen_broker_holds_nothing_up(around: Surroundings, count: int) -> None:
    servers = around.start(count)
    async with AsyncExitStack() as stack:
        fleet = Fleet(around, stack)
        await fleet.open()
        around.freeze("broker")
        interval = fleet.change()
        await fleet.is_alerted(fleet.register()["id"])
        assert all(server.ready() for server in servers)
        around.thaw()
        await fleet.is_heard_of(interval)
        around.freeze("broker")
        fleet.change()
        await asyncio.to_thread(stop, servers)


@pytest.mark.parametrize("count", [1, 2])
async def test_a_frozen_telegram_holds_nothing_up(around: Surroundings, count: int) -> None:
    servers = around.start(count)
    async with AsyncExitStack() as stack:
        fleet = Fleet(around, stack)
        await fleet.open()
        around.freeze("telegram")
        device = fleet.register()["id"]
        await fleet.is_heard_of(fleet.change())
        assert all(server.ready() for server in servers)
        around.thaw()
        await fleet.is_alerted(device)
        around.freeze("telegram")
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


@pytest.mark.parametrize("answers", ["never", "not there"])
@pytest.mark.parametrize("what", SETTINGS)
def test_what_was_never_there_delays_neither_start_nor_stop(
    tmp_path: Path, what: str, answers: str
) -> None:
    with black_hole() as hole:
        port = hole if answers == "never" else free_port()
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
