"""Shows what an administrator can observe: messages of devices and changes of configs."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from demo.server import Server

CHANGES = """subscription { configChanged {
  device { id location { place } measurementType }
  config { version intervalSeconds qos updatedBy } previous { intervalSeconds qos }
} }"""

Log = Callable[[str, str], None]


class Watcher:
    """Subscribes to `configChanged`, and as user `admin` to all topics of the broker."""

    def __init__(self, server: Server, log: Log) -> None:
        self._server = server
        self._log = log
        # Time of each change, by device id and config version.
        self._changed_at: dict[tuple[str, int], float] = {}
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.username_pw_set("admin", server.token)
        self._client.on_connect = lambda *_: self._client.subscribe("#")
        self._client.on_message = self._on_message

    def start(self) -> None:
        threading.Thread(target=self._subscribe, name="changes", daemon=True).start()
        self._client.connect(*self._server.mqtt)
        self._client.loop_start()

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _subscribe(self) -> None:
        for event in self._server.subscribe(CHANGES):
            self._on_change(event["configChanged"])

    def _on_change(self, change: Any) -> None:
        device, config, previous = change["device"], change["config"], change["previous"]
        if device is None:
            return
        self._changed_at[device["id"], config["version"]] = time.monotonic()
        name = f"{device['location']['place']} {device['measurementType']}"
        values = ", ".join(
            f"{key} {previous[key]} -> {config[key]}"
            for key in ("intervalSeconds", "qos")
            if previous[key] != config[key]
        )
        text = f"{config['updatedBy']} changes {name}: {values or 'the topics it listens to'}"
        self._log("server", f"{text} (v{config['version']})")

    def _on_message(self, _: Any, __: Any, message: paho.MQTTMessage) -> None:
        levels = message.topic.split("/")
        if message.retain or levels[0].startswith("_") or not message.payload:
            return
        if levels[-1] == "state":
            self._on_state(levels, message.payload)
        elif len(levels) == 4:
            topic = "/".join([*levels[:3], f"{levels[3][:6]}..."])
            self._log("broker", f"{topic}  {message.payload.decode(errors='replace')}")

    def _on_state(self, levels: list[str], payload: bytes) -> None:
        version = json.loads(payload)["v"]
        changed_at = self._changed_at.pop((levels[3], version), None)
        if changed_at is not None:
            seconds = time.monotonic() - changed_at
            text = f"{levels[1]}/{levels[2]} has applied v{version} after {seconds:.1f} s"
            self._log("server", text)
