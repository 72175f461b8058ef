"""Configs that change while everything fails: does each device end with its newest?

`make soak-mqtt` runs it in full, on Mosquitto and on the embedded broker; the tests run small ones.
The server is killed at random points, Mosquitto too, and some devices are away for three changes.
At the end every device must have applied its newest version and said so, and the broker must keep
exactly one config for each device, and nothing of deleted ones.
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
from tests.mqtt.ruled import ruled_mosquitto, settings_for
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
class Stage:
    """A server that may be killed, its broker, and where they are."""

    database_url: str
    settings: dict[str, str]
    mqtt_port: int
    mosquitto: Mosquitto | None
    servers: list[Serving] = field(default_factory=list)
    url: str = ""
    deaths: int = 0

    @property
    def tools_port(self) -> int:
        """For whoever has several connections at once."""
        return self.mosquitto.second_port if self.mosquitto else self.mqtt_port

    @asynccontextmanager
    async def server(self) -> AsyncIterator[ExitStack]:
        """Close the stack to end the server, and call `start` for the next one."""
        with ExitStack() as running:
            await self.start(running)
            yield running

    async def start(self, running: ExitStack) -> None:
        server = running.enter_context(serving(self.database_url, **self.settings))
        self.servers.append(server)
        self.url = await ready(server.output)

    async def ask(self, client: httpx.AsyncClient, query: str, **variables: Any) -> Any:
        """Again and again, since the server may be dead for a moment."""
        body = {"query": query, "variables": variables}
        while True:
            with suppress(httpx.TransportError):
                answer = await client.post(self.url, json=body)
                if answer.status_code == 200:
                    return answer.json()["data"]
            await asyncio.sleep(0.05)


@contextmanager
def stage(kind: str, database_url: str, folder: Path) -> Iterator[Stage]:
    """`kind`: mosquitto or embedded."""
    if kind == "embedded":
        port = free_port()
        yield Stage(database_url, {"mqtt": "on", "mqtt_port": str(port)}, port, None)
        return
    broker = ruled_mosquitto(folder)
    broker.start()
    try:
        yield Stage(database_url, settings_for(broker), broker.port, broker)
    finally:
        broker.stop()


async def soak(kind: str, database_url: str, folder: Path, count: int, deaths: int) -> str:
    with stage(kind, database_url, folder) as scene:
        async with (
            scene.server() as running,
            httpx.AsyncClient(
                timeout=WAIT_SECONDS,
                headers={"Authorization": f"Bearer {ADMIN}"},
                limits=httpx.Limits(max_connections=64),
            ) as client,
        ):
            devices = await _registered(scene, client, count + DELETED)
            living = [asyncio.create_task(d.live(scene.mqtt_port)) for d in devices]
            try:
                began = time.monotonic()
                await asyncio.gather(
                    _change_all(scene, client, devices), _kill(scene, running, deaths)
                )
                for gone in devices[count:]:
                    await scene.ask(client, DELETE, id=gone.id)
                changed = time.monotonic() - began
                await _settled(scene, client, devices[:count])
                settled = time.monotonic() - began - changed
                await _check(scene, devices[:count])
            finally:
                for life in living:
                    life.cancel()
                await asyncio.gather(*living, return_exceptions=True)
    return (
        f"{kind}: {count} devices, 3 changes each, {scene.deaths} deaths in {changed:.1f} s; all "
        f"have applied their newest config {settled:.1f} s later, and one is retained for each"
    )


async def _registered(scene: Stage, client: httpx.AsyncClient, count: int) -> list[Device]:
    places = asyncio.Semaphore(CHANGERS)

    async def register(number: int) -> Device:
        async with places:
            mac = f"24:6f:28:{number // 65536:02x}:{number // 256 % 256:02x}:{number % 256:02x}"
            found = (await scene.ask(client, REGISTER, mac=mac))["registerDevice"]
            device = found["device"]
            return Device(device["id"], device["topics"]["data"], found["token"])

    return await asyncio.gather(*map(register, range(count)))


async def _change_all(scene: Stage, client: httpx.AsyncClient, devices: list[Device]) -> None:
    """Three times; a tenth of the devices is away meanwhile, and comes back at the end."""
    for device in devices[::10]:
        device.away = True
    for turn in range(3):
        left = random.sample(devices, len(devices))

        async def change(turn: int = turn, left: list[Device] = left) -> None:
            while left:
                device = left.pop()
                await scene.ask(client, CHANGE, id=device.id, n=100 + turn)

        await asyncio.gather(*(change() for _ in range(CHANGERS)))
    for device in devices[::10]:
        device.away = False


async def _kill(scene: Stage, running: ExitStack, deaths: int) -> None:
    """By kill -9, at random points, server and broker in turn."""
    for _ in range(deaths):
        await asyncio.sleep(random.uniform(0.2, 2))
        if scene.mosquitto and scene.deaths % 2:
            scene.mosquitto.kill()
            await asyncio.sleep(random.uniform(0, 0.5))
            scene.mosquitto.start()
        else:
            scene.servers[-1].kill()
            running.pop_all().close()
            await scene.start(running)
        scene.deaths += 1


async def _settled(scene: Stage, client: httpx.AsyncClient, devices: list[Device]) -> None:
    async with asyncio.timeout(SETTLE_SECONDS):
        while True:
            fleet = (await scene.ask(client, FLEET))["fleet"]
            if fleet == dict.fromkeys(("total", "online", "inSync"), len(devices)):
                return
            await asyncio.sleep(0.1)


async def _check(scene: Stage, devices: list[Device]) -> None:
    """Looked at until it holds: what is deleted is cleared a moment later, and a broker that was
    killed last is told again by devices that the registry has long known to be in sync.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while wrong := _wrong(await asyncio.to_thread(_retained, scene.tools_port), devices):
        assert time.monotonic() < deadline, wrong


def _wrong(kept: dict[str, bytes], devices: list[Device]) -> list[str]:
    """Topics that have another message than they should."""
    own = {device.topic for device in devices}
    wrong = [t for t in kept if t.rpartition("/")[0] not in own and not t.startswith("_rollcall/")]
    for device in devices:
        for leaf in ("config", "state"):
            payload = kept.get(f"{device.topic}/{leaf}", b"{}")
            if not json.loads(payload).get("v") == device.applied == NEWEST:
                wrong.append(f"{device.topic}/{leaf}: {payload!r}, applied {device.applied}")
    return wrong


def _retained(port: int) -> dict[str, bytes]:
    """All that the broker keeps, seen by an administrator."""
    kept: dict[str, bytes] = {}
    last = time.monotonic()

    def heard(_: Any, __: Any, message: paho.MQTTMessage) -> None:
        nonlocal last
        kept[message.topic] = message.payload
        last = time.monotonic()

    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set("admin", ADMIN)
    client.on_connect = lambda *_: client.subscribe("#")
    client.on_message = heard
    client.connect("127.0.0.1", port)
    while time.monotonic() < last + 2:
        client.loop(0.1)
    client.disconnect()
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=1_000)
    parser.add_argument("--deaths", type=int, default=12)
    parser.add_argument("--brokers", nargs="*", default=["mosquitto", "embedded"])
    chosen = parser.parse_args()
    for kind in chosen.brokers:
        with tempfile.TemporaryDirectory(prefix="rollcall-") as folder:
            postgres = EmbeddedPostgres(Path(folder))
            try:
                url = postgres.start()
                print(asyncio.run(soak(kind, url, Path(folder), chosen.devices, chosen.deaths)))
            finally:
                postgres.stop()


if __name__ == "__main__":
    main()
