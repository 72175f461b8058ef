"""The device client with a real server and real brokers, from the first boot."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from esp_client.device import Device
from esp_client.plugin import Plugin
from server.settings import Settings
from tests.conftest import changed
from tests.events.live.serving import Instance, instance
from tests.mqtt.conftest import with_mosquitto
from tests.support.client import Api
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import WAIT_SECONDS, until

MAC = "24:6f:28:00:40:01"
QUERY = """{ devices { nodes { id owner online inSync firmware config { version }
  topics { data listen } } } }"""


class Sensor(Plugin):
    def __init__(self) -> None:
        self.received: list[str] = []

    def read(self) -> float:
        return 21.5

    def on_message(self, topic: str, payload: bytes) -> None:
        self.received.append(f"{topic} {payload.decode()}")


class Board:
    """The values of `settings.py` on a board."""

    ca = latitude = longitude = None
    owner, place, measurement_type = "Acme", "Paris", "temperature"
    sensor_model, firmware, keepalive = "BME280", "2.0", 5

    def __init__(self, url: str, key: str, mac: str) -> None:
        self.url, self.key, self.mac = url, key, mac


@asynccontextmanager
async def running(
    server: Instance, folder: Path, mac: str = MAC
) -> AsyncIterator[tuple[Device, Sensor]]:
    url, key = server.url.removesuffix("/graphql"), await server.api.key()
    sensor = Sensor()
    device = Device(Board(url, key, mac), str(folder / f"{mac[-2:]}.json"), sensor, print)
    thread = threading.Thread(target=device.run, daemon=True)
    thread.start()
    try:
        yield device, sensor
    finally:
        device.stop()
        await until(lambda: not thread.is_alive())


@pytest_asyncio.fixture(params=["mosquitto", "embedded"])
async def server(request: pytest.FixtureRequest, settings: Settings) -> AsyncIterator[Instance]:
    if request.param == "mosquitto":
        broker: Mosquitto = request.getfixturevalue("mosquitto")
        public = f"mqtt://127.0.0.1:{broker.port}"
        broker_settings = changed(with_mosquitto(settings, broker), mqtt_public_url=public)
    else:
        broker_settings = changed(settings, mqtt="on", mqtt_port=0)
    async with instance(broker_settings) as server:
        yield server


async def shown(server: Instance, **expected: Any) -> Any:
    """Wait until the API returns these values for the only device; return the device."""
    found: dict[str, Any] = {}

    def matches() -> bool:
        return all(found.get(key) == value for key, value in expected.items())

    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        nodes = (await server.api.ask(QUERY))["devices"]["nodes"]
        found = nodes[0] if nodes else {}
        if matches():
            return found
        await asyncio.sleep(0.02)
    raise AssertionError((expected, found))


async def both(api: Api) -> Any:
    """Return the two devices in order of registration, or None if there are fewer."""
    nodes = (await api.ask(QUERY))["devices"]["nodes"]
    return nodes if len(nodes) == 2 else None


async def test_boot_config_change_move_and_stop(server: Instance, tmp_path: Path) -> None:
    api = server.api
    async with running(server, tmp_path):
        device = await shown(server, online=True, inSync=True, firmware="2.0")
        changes = {"deviceId": device["id"], "intervalSeconds": 1, "qos": 2}
        await api.change("updateConfig", **changes)
        await shown(server, inSync=True, config={"version": 2})
        await api.change("updateDevice", id=device["id"], location={"place": "Rome"})
        await api.change("updateDevice", id=device["id"], measurementType="humidity")
        moved = f"acme/rome/humidity/{device['id']}"
        await shown(server, inSync=True, config={"version": 4}, online=True)
        assert (await shown(server))["topics"]["data"] == moved
    await shown(server, online=False)
    async with running(server, tmp_path):
        await shown(server, online=True, inSync=True)


async def test_listener_receives_from_source_that_registers_later(
    server: Instance, tmp_path: Path
) -> None:
    api = server.api
    async with running(server, tmp_path) as (_, listener):
        device = await shown(server, online=True, inSync=True)
        await api.change("linkDevice", listenerId=device["id"], place="Paris")
        await shown(server, inSync=True, config={"version": 2})
        async with running(server, tmp_path, "24:6f:28:00:40:02"):
            nodes = await until(lambda: both(api))
            await api.change("updateConfig", deviceId=nodes[1]["id"], intervalSeconds=1)
            expected = f"{nodes[1]['topics']['data']} 21.5"
            await until(lambda: expected in listener.received)


async def test_device_with_revoked_token_registers_again(server: Instance, tmp_path: Path) -> None:
    """Its token was replaced elsewhere, so it registers by its enrolment key and is pending."""
    api = server.api
    async with running(server, tmp_path) as (device, _):
        found = await shown(server, online=True, inSync=True)
        made = await api.change("rotateDeviceToken", fields="token", id=found["id"])
        await api.ask("{ me { id } }", made["token"])
        await until(lambda: device.record.state.get("waiting"))
        assert (await shown(server))["online"] is False
