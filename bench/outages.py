"""Check that each device gets its newest config in spite of failures: `make soak-mqtt`.

The server and Mosquitto are killed at random points while configs change, and some devices are
offline for three changes. At the end every device must have applied and acknowledged its newest
version. The broker must retain exactly one config for each device, and nothing for deleted ones.
Runs on Mosquitto and on the embedded broker; the tests run small versions.
"""

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from bench.mqtt_device import Device
from bench.serving import ADMIN, Serving, ready, serving
from db.embedded import EmbeddedPostgres
from tests.mqtt.managed_mosquitto import managed_mosquitto, settings_for
from tests.support.mosquitto import Mosquitto, free_port
from tests.support.waiting import WAIT_SECONDS

CHANGERS = 8
DELETED = 5
NEWEST = 4
SETTLE_SECONDS = 120
REGISTER = """mutation ($mac: String!) {
  registerDevice(input: {
    mac: $mac, owner: "Acme", location: {place: "Paris"}, measurementType: "temperature"
  }) { token device { id topics { data } } }
}"""
CHANGE = """mutation ($id: ID!, $n: Int!) {
  updateConfig(input: {deviceId: $id, intervalSeconds: $n}) { config { version } }
}"""
DELETE = "mutation ($id: ID!) { deleteDevice(input: {id: $id}) { id } }"
FLEET = "{ fleet { total online inSync } }"


@dataclass
class Deployment:
    """A server that may be killed, and its broker. `mosquitto`: None for the embedded broker.
    `kills`: number of kills so far.
    """

    database_url: str
    settings: dict[str, str]
    mqtt_port: int
    mosquitto: Mosquitto | None
    servers: list[Serving] = field(default_factory=list)
    url: str = ""
    kills: int = 0

    @property
    def tools_port(self) -> int:
        """The port for clients with several connections."""
        return self.mosquitto.second_port if self.mosquitto else self.mqtt_port

    @asynccontextmanager
    async def server(self) -> AsyncIterator[ExitStack]:
        """Start a server. To restart it, close the stack and call `start`."""
        with ExitStack() as stack:
            await self.start(stack)
            yield stack

    async def start(self, stack: ExitStack) -> None:
        server = stack.enter_context(serving(self.database_url, **self.settings))
        self.servers.append(server)
        self.url = await ready(server.output)

    async def execute(self, client: httpx.AsyncClient, query: str, **variables: Any) -> Any:
        """Retry until the server responds, since it may be restarting."""
        body = {"query": query, "variables": variables}
        while True:
            with suppress(httpx.TransportError):
                response = await client.post(self.url, json=body)
                if response.status_code == 200:
                    return response.json()["data"]
            await asyncio.sleep(0.05)


@contextmanager
def deployed(kind: str, database_url: str, folder: Path) -> Iterator[Deployment]:
    """`kind`: mosquitto or embedded."""
    if kind == "embedded":
        port = free_port()
        yield Deployment(database_url, {"mqtt": "on", "mqtt_port": str(port)}, port, None)
        return
    broker = managed_mosquitto(folder)
    broker.start()
    try:
        yield Deployment(database_url, settings_for(broker), broker.port, broker)
    finally:
        broker.stop()


async def soak(kind: str, database_url: str, folder: Path, count: int, kills: int) -> str:
    with deployed(kind, database_url, folder) as system:
        async with (
            system.server() as stack,
            httpx.AsyncClient(
                timeout=WAIT_SECONDS,
                headers={"Authorization": f"Bearer {ADMIN}"},
                limits=httpx.Limits(max_connections=64),
            ) as client,
        ):
            devices = await _registered(system, client, count + DELETED)
            running = [asyncio.create_task(d.run(system.mqtt_port)) for d in devices]
            try:
                started = time.monotonic()
                await asyncio.gather(
                    _change_all(system, client, devices), _kill(system, stack, kills)
                )
                for deleted in devices[count:]:
                    await system.execute(client, DELETE, id=deleted.id)
                changed = time.monotonic() - started
                await _wait_until_in_sync(system, client, devices[:count])
                waited = time.monotonic() - started - changed
                await _check(system, devices[:count])
            finally:
                for task in running:
                    task.cancel()
                await asyncio.gather(*running, return_exceptions=True)
    return (
        f"{kind}: {count} devices, 3 changes each, {system.kills} kills in {changed:.1f} s; all "
        f"have applied their newest config {waited:.1f} s later, and one is retained for each"
    )


async def _registered(system: Deployment, client: httpx.AsyncClient, count: int) -> list[Device]:
    slots = asyncio.Semaphore(CHANGERS)

    async def register(number: int) -> Device:
        async with slots:
            mac = f"24:6f:28:{number // 65536:02x}:{number // 256 % 256:02x}:{number % 256:02x}"
            found = (await system.execute(client, REGISTER, mac=mac))["registerDevice"]
            device = found["device"]
            return Device(device["id"], device["topics"]["data"], found["token"])

    return await asyncio.gather(*map(register, range(count)))


async def _change_all(system: Deployment, client: httpx.AsyncClient, devices: list[Device]) -> None:
    """Change each config three times. A tenth of the devices is offline until the end."""
    for device in devices[::10]:
        device.away = True
    for number in range(3):
        unchanged = random.sample(devices, len(devices))

        async def change(number: int = number, unchanged: list[Device] = unchanged) -> None:
            while unchanged:
                device = unchanged.pop()
                await system.execute(client, CHANGE, id=device.id, n=100 + number)

        await asyncio.gather(*(change() for _ in range(CHANGERS)))
    for device in devices[::10]:
        device.away = False


async def _kill(system: Deployment, stack: ExitStack, kills: int) -> None:
    """Kill server and broker alternately at random points (kill -9)."""
    for _ in range(kills):
        await asyncio.sleep(random.uniform(0.2, 2))
        if system.mosquitto and system.kills % 2:
            system.mosquitto.kill()
            await asyncio.sleep(random.uniform(0, 0.5))
            system.mosquitto.start()
        else:
            system.servers[-1].kill()
            stack.pop_all().close()
            await system.start(stack)
        system.kills += 1


async def _wait_until_in_sync(
    system: Deployment, client: httpx.AsyncClient, devices: list[Device]
) -> None:
    async with asyncio.timeout(SETTLE_SECONDS):
        while True:
            fleet = (await system.execute(client, FLEET))["fleet"]
            if fleet == dict.fromkeys(("total", "online", "inSync"), len(devices)):
                return
            await asyncio.sleep(0.1)


async def _check(system: Deployment, devices: list[Device]) -> None:
    """Wait until the broker retains the right messages. Topics of deleted devices are cleared with
    a delay. After a kill of the broker, devices publish a state again that the server already has.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while wrong := _wrong(await asyncio.to_thread(_retained, system.tools_port), devices):
        assert time.monotonic() < deadline, wrong


def _wrong(retained: dict[str, bytes], devices: list[Device]) -> list[str]:
    """Topics with a wrong retained message."""
    topics = {device.topic for device in devices}
    wrong = [
        topic
        for topic in retained
        if topic.rpartition("/")[0] not in topics and not topic.startswith("_rollcall/")
    ]
    for device in devices:
        for leaf in ("config", "state"):
            payload = retained.get(f"{device.topic}/{leaf}", b"{}")
            if not json.loads(payload).get("v") == device.applied == NEWEST:
                wrong.append(f"{device.topic}/{leaf}: {payload!r}, applied {device.applied}")
    return wrong


def _retained(port: int) -> dict[str, bytes]:
    """All retained messages, by topic, as an administrator sees them."""
    retained: dict[str, bytes] = {}
    last = time.monotonic()

    def on_message(_: Any, __: Any, message: paho.MQTTMessage) -> None:
        nonlocal last
        retained[message.topic] = message.payload
        last = time.monotonic()

    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set("admin", ADMIN)
    client.on_connect = lambda *_: client.subscribe("#")
    client.on_message = on_message
    client.connect("127.0.0.1", port)
    while time.monotonic() < last + 2:
        client.loop(0.1)
    client.disconnect()
    return retained


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=1_000)
    parser.add_argument("--deaths", type=int, default=12)
    parser.add_argument("--brokers", nargs="*", default=["mosquitto", "embedded"])
    options = parser.parse_args()
    for kind in options.brokers:
        with tempfile.TemporaryDirectory(prefix="rollcall-") as folder:
            postgres = EmbeddedPostgres(Path(folder))
            try:
                url = postgres.start()
                print(asyncio.run(soak(kind, url, Path(folder), options.devices, options.deaths)))
            finally:
                postgres.stop()


if __name__ == "__main__":
    main()
