"""When a device contacts the server again: rejected credentials, a moved broker, no broker."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from esp_client import store
from tests.esp_client.observer import Observer
from tests.esp_client.responses import ACKNOWLEDGED, registered
from tests.esp_client.running import BASE, DEVICE, ID, Probe, Running, store_registration
from tests.esp_client.scripted import Scripted, scripted
from tests.support.mosquitto import Mosquitto
from tests.support.ports import free_port
from tests.support.waiting import wait_for

STATE = f"{BASE}/state"


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as server:
        yield server


def response(port: int | None, **values: Any) -> bytes:
    broker = {"host": None, "port": port, "tls": False, "username": ID} if port else None
    return registered(**{"device": DEVICE, "broker": broker, **values})


def begin(device: Running) -> Running:
    device.thread.start()
    return device


def secured(folder: Path) -> Mosquitto:
    """Return a broker that accepts the device with its new token, and the user `observer`."""
    passwords = folder / "passwords"
    passwords.write_text(f"{ID}:rcd_new\nobserver:secret\n")
    subprocess.run(["mosquitto_passwd", "-U", str(passwords)], check=True)
    return Mosquitto(folder, "allow_anonymous false", f"password_file {passwords}")


def test_rejected_credentials_cause_a_new_registration(server: Scripted, tmp_path: Path) -> None:
    broker = secured(tmp_path)
    broker.start()
    observer = Observer(broker.port, "observer", "secret")
    store_registration(tmp_path, broker.port)
    server.responses = [
        response(broker.port),
        response(broker.port, outcome="RENEWED", token="rcd_new"),
        ACKNOWLEDGED,
    ]
    device = begin(Running(tmp_path, Probe(), url=server.url))
    try:
        observer.wait(STATE, b'{"v":3,"fw":"1.2.0"}')
        device.wait_for_line("connected")
        rejected = "no broker: the broker does not authorize this device"
        assert device.lines[:4] == [
            "registered: KNOWN",
            rejected,
            "registered: RENEWED",
            f"connected to 127.0.0.1:{broker.port}",
        ]
        # Registered twice. The acknowledgement uses the new token, which confirms it.
        assert len(server.requests) == 3
        assert b"Bearer rcd_new" in server.requests[2]
        assert b'"documentId": "a"' in server.requests[2]
    finally:
        device.stop()
        observer.close()
        broker.stop()


def test_moved_broker_is_found_through_the_server(
    broker: Mosquitto, observer: Observer, server: Scripted, tmp_path: Path
) -> None:
    store_registration(tmp_path, broker.port)
    server.responses = [response(free_port()), response(broker.port)]
    device = begin(Running(tmp_path, Probe(), url=server.url, server_every=0.2))
    try:
        observer.wait(STATE, b'{"v":3,"fw":"1.2.0"}')
        assert len(server.requests) == 2
    finally:
        device.stop()


def test_without_broker_configs_come_from_the_server(server: Scripted, tmp_path: Path) -> None:
    newer = {**DEVICE, "config": {**DEVICE["config"], "version": 4}}
    server.responses = [response(None), response(None, device=newer), ACKNOWLEDGED]
    store_registration(tmp_path, 1)
    plugin = Probe()
    device = begin(Running(tmp_path, plugin, url=server.url, server_every=0.2))
    try:
        wait_for(lambda: [config["v"] for config in plugin.configs] == [3, 4])
        assert device.stored["device"] == newer
        assert device.stored["broker"] is None
        wait_for(lambda: len(server.requests) >= 3)
    finally:
        device.stop()


def test_unreachable_server_does_not_block_the_broker_session(
    broker: Mosquitto, observer: Observer, tmp_path: Path
) -> None:
    store_registration(tmp_path, broker.port)
    device = begin(Running(tmp_path, Probe()))
    try:
        observer.wait(STATE, b'{"v":3,"fw":"1.2.0"}')
    finally:
        device.stop()


@pytest.mark.parametrize(
    "invalid",
    [
        {"device": {**DEVICE, "topics": {**DEVICE["topics"], "listen": ["a/#/b"]}}},
        {"broker": {"host": 5, "port": 1883, "tls": False}},
        {"broker": {"host": "h", "port": 0, "tls": False}},
        {"broker": {"host": "h", "port": 1883}},
        {"broker": "h"},
    ],
)
def test_invalid_registration_is_not_stored_or_used(
    server: Scripted, tmp_path: Path, invalid: dict[str, Any]
) -> None:
    store_registration(tmp_path, 1883)
    before = store.load(str(tmp_path / "device.json"))
    server.responses = [registered(**{"device": DEVICE, **invalid})]
    device = Running(tmp_path, Probe(), url=server.url)
    device.device.register()
    assert device.stored == before
    store.save(device.path, {**before, **invalid})
    restarted = Running(tmp_path, Probe(), url=server.url)
    assert not restarted.device.record.device or not restarted.device.record.broker


def test_twelve_devices_in_one_process(
    broker: Mosquitto, observer: Observer, tmp_path: Path
) -> None:
    devices = []
    for number in range(12):
        folder = tmp_path / str(number)
        folder.mkdir()
        store_registration(folder, broker.port)
        state = store.load(str(folder / "device.json"))
        text = json.dumps(state).replace(ID, f"{number:032x}")
        (folder / "device.json").write_text(text)
        devices.append(begin(Running(folder, Probe(number))))
    try:
        for number in range(12):
            topic = BASE.replace(ID, f"{number:032x}")
            observer.wait(topic, str(number).encode())
    finally:
        for device in devices:
            device.device.stop()
        for device in devices:
            device.stop()
