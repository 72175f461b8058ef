"""When a device asks the desk again, although it has a broker, or has none."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from esp_client import store
from tests.esp_client.neighbour import Neighbour
from tests.esp_client.running import BASE, DEVICE, ID, Probe, Running, remember
from tests.esp_client.scripted import Scripted, scripted
from tests.esp_client.test_client import ACKNOWLEDGED, registered
from tests.support.mosquitto import Mosquitto
from tests.support.ports import free_port
from tests.support.waiting import wait_for

STATE = f"{BASE}/state"


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as server:
        yield server


def answer(port: int | None, **values: Any) -> bytes:
    broker = {"host": None, "port": port, "tls": False, "username": ID} if port else None
    return registered(**{"device": DEVICE, "broker": broker, **values})


def begin(device: Running) -> Running:
    device.thread.start()
    return device


def secured(folder: Path) -> Mosquitto:
    """Takes the device with its new token, and `neighbour`."""
    passwords = folder / "passwords"
    passwords.write_text(f"{ID}:rcd_new\nneighbour:secret\n")
    subprocess.run(["mosquitto_passwd", "-U", str(passwords)], check=True)
    return Mosquitto(folder, "allow_anonymous false", f"password_file {passwords}")


def test_refused_credentials_lead_back_to_the_desk(server: Scripted, tmp_path: Path) -> None:
    broker = secured(tmp_path)
    broker.start()
    neighbour = Neighbour(broker.port, "neighbour", "secret")
    remember(tmp_path, broker.port)
    server.answers = [
        answer(broker.port),
        answer(broker.port, outcome="RENEWED", token="rcd_new"),
        ACKNOWLEDGED,
    ]
    device = begin(Running(tmp_path, Probe(), url=server.url))
    try:
        neighbour.wait(STATE, b'{"v":3,"fw":"1.2.0"}')
        device.says("connected")
        refusal = "no broker: the broker does not authorize this device"
        assert device.lines[:4] == [
            "registered: KNOWN",
            refusal,
            "registered: RENEWED",
            f"connected to 127.0.0.1:{broker.port}",
        ]
        # Registered twice; the new token is used at once, which confirms it.
        assert len(server.requests) == 3
        assert b"Bearer rcd_new" in server.requests[2]
        assert b'"documentId": "a"' in server.requests[2]
    finally:
        device.stop()
        neighbour.close()
        broker.stop()


def test_a_broker_that_has_moved_is_found_through_the_desk(
    broker: Mosquitto, neighbour: Neighbour, server: Scripted, tmp_path: Path
) -> None:
    remember(tmp_path, broker.port)
    server.answers = [answer(free_port()), answer(broker.port)]
    device = begin(Running(tmp_path, Probe(), url=server.url, server_every=0.2))
    try:
        neighbour.wait(STATE, b'{"v":3,"fw":"1.2.0"}')
        assert len(server.requests) == 2
    finally:
        device.stop()


def test_without_a_broker_the_desk_tells_the_configs(server: Scripted, tmp_path: Path) -> None:
    newer = {**DEVICE, "config": {**DEVICE["config"], "version": 4}}
    server.answers = [answer(None), answer(None, device=newer), ACKNOWLEDGED]
    remember(tmp_path, 1)
    plugin = Probe()
    device = begin(Running(tmp_path, plugin, url=server.url, server_every=0.2))
    try:
        wait_for(lambda: [config["v"] for config in plugin.configs] == [3, 4])
        assert device.stored["device"] == newer
        assert device.stored["broker"] is None
        wait_for(lambda: len(server.requests) >= 3)
    finally:
        device.stop()


def test_a_desk_that_is_away_keeps_nobody_from_the_broker(
    broker: Mosquitto, neighbour: Neighbour, tmp_path: Path
) -> None:
    remember(tmp_path, broker.port)
    device = begin(Running(tmp_path, Probe()))
    try:
        neighbour.wait(STATE, b'{"v":3,"fw":"1.2.0"}')
    finally:
        device.stop()


@pytest.mark.parametrize(
    "spoilt",
    [
        {"device": {**DEVICE, "topics": {**DEVICE["topics"], "listen": ["a/#/b"]}}},
        {"broker": {"host": 5, "port": 1883, "tls": False}},
        {"broker": {"host": "h", "port": 0, "tls": False}},
        {"broker": {"host": "h", "port": 1883}},
        {"broker": "h"},
    ],
)
def test_what_can_not_be_used_is_not_taken(
    server: Scripted, tmp_path: Path, spoilt: dict[str, Any]
) -> None:
    remember(tmp_path, 1883)
    before = store.load(str(tmp_path / "device.json"))
    server.answers = [registered(**{"device": DEVICE, **spoilt})]
    device = Running(tmp_path, Probe(), url=server.url)
    device.device.ask()
    assert device.stored == before
    store.save(device.path, {**before, **spoilt})
    again = Running(tmp_path, Probe(), url=server.url)
    assert not again.device.record.device or not again.device.record.broker


def test_a_dozen_run_in_one_process(
    broker: Mosquitto, neighbour: Neighbour, tmp_path: Path
) -> None:
    devices = []
    for number in range(12):
        folder = tmp_path / str(number)
        folder.mkdir()
        remember(folder, broker.port)
        state = store.load(str(folder / "device.json"))
        text = json.dumps(state).replace(ID, f"{number:032x}")
        (folder / "device.json").write_text(text)
        devices.append(begin(Running(folder, Probe(number))))
    try:
        for number in range(12):
            topic = BASE.replace(ID, f"{number:032x}")
            neighbour.wait(topic, str(number).encode())
    finally:
        for device in devices:
            device.device.stop()
        for device in devices:
            device.stop()
