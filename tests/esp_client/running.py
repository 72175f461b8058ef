"""A device that runs in a thread."""

import threading
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from esp_client import store
from esp_client.device import Device
from esp_client.plugin import Plugin
from tests.support.waiting import WAIT_SECONDS, wait_for

ID = "f" * 32
BASE = f"acme/paris/temperature/{ID}"
DEVICE: dict[str, Any] = {
    "id": ID,
    "topics": {
        "data": BASE,
        "config": f"{BASE}/config",
        "state": f"{BASE}/state",
        "status": f"{BASE}/status",
        "listen": [],
    },
    "config": {"version": 3, "intervalSeconds": 60, "qos": 1},
}


class Probe(Plugin):
    """A plug-in with given measurements that records messages and configs. `errors`: the error for
    a config version.
    """

    def __init__(self, *values: Any) -> None:
        self.values = list(values)
        self.messages: list[tuple[str, bytes]] = []
        self.configs: list[dict[str, Any]] = []
        self.errors: dict[int, str] = {}

    def read(self) -> Any:
        value = self.values.pop(0) if self.values else None
        if isinstance(value, Exception):
            raise value
        return value

    def on_message(self, topic: str, payload: bytes) -> None:
        self.messages.append((topic, payload))
        if payload == b"raise":
            raise ZeroDivisionError

    def on_config(self, config: dict[str, Any]) -> str | None:
        self.configs.append(config)
        return self.errors.get(config["v"])


class Running:
    """A device with its thread. `lines`: its log."""

    def __init__(self, folder: Path, plugin: Plugin, **values: Any) -> None:
        self.path = str(folder / "device.json")
        self.lines: list[str] = []
        self.device = Device(settings(**values), self.path, plugin, self.lines.append)
        self.device.backoff.seconds = 0.1
        self.thread = threading.Thread(target=self.device.run, daemon=True)

    @property
    def stored(self) -> dict[str, Any]:
        return store.load(self.path)

    def wait_for_line(self, beginning: str, times: int = 1) -> None:
        wait_for(lambda: sum(line.startswith(beginning) for line in self.lines) >= times)

    def stop(self) -> None:
        self.device.stop()
        if self.thread.is_alive():
            self.thread.join(WAIT_SECONDS)
        assert not self.thread.is_alive()


def settings(**values: Any) -> Namespace:
    """Return settings with an unreachable server."""
    defaults = {
        "url": "http://127.0.0.1:1",
        "key": "rce_key",
        "ca": None,
        "mac": "246f28aabbcc",
        "owner": "Acme",
        "place": "Paris",
        "latitude": None,
        "longitude": None,
        "measurement_type": "temperature",
        "sensor_model": None,
        "firmware": "1.2.0",
        "patience": 2,
    }
    return Namespace(**{**defaults, **values})


def store_registration(folder: Path, port: int, **values: Any) -> None:
    """Store the state of a registered device."""
    broker = {"host": "127.0.0.1", "port": port, "tls": False, "username": ID}
    state = {"token": "rcd_own", "device": DEVICE, "broker": broker, **values}
    store.save(str(folder / "device.json"), state)


@contextmanager
def running(
    folder: Path, port: int, plugin: Plugin | None = None, **values: Any
) -> Iterator[Running]:
    """Run a registered device that connects to the broker at this port."""
    store_registration(folder, port)
    device = Running(folder, plugin or Probe(), **values)
    device.thread.start()
    try:
        yield device
    finally:
        device.stop()
