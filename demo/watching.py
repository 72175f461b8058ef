"""What an administrator sees while devices run: their messages, and changes that arrive."""

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

Say = Callable[[str, str], None]


class Watching:
    """Follows `configChanged`, and as user `admin` all topics of the broker."""

    def __init__(self, server: Server, say: Say) -> None:
        self._server = server
        self._say = say
        self._asked: dict[tuple[str, int], float] = {}
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.username_pw_set("admin", server.token)
        self._client.on_connect = lambda *_: self._client.subscribe("#")
        self._client.on_message = self._heard

    def start(self) -> None:
        threading.Thread(target=self._follow, name="changes", daemon=True).start()
        self._client.connect(*self._server.mqtt)
        self._client.loop_start()

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _follow(self) -> None:
        for event in self._server.follow(CHANGES):
            self._changed(event["configChanged"])

    def _changed(self, change: Any) -> None:
        device, config, previous = change["device"], change["config"], change["previous"]
        if device is None:
            return
        self._asked[device["id"], config["version"]] = time.monotonic()
        name = f"{device['location']['place']} {device['measurementType']}"
        what = ", ".join(
            f"{key} {previous[key]} -> {config[key]}"
            for key in ("intervalSeconds", "qos")
            if previous[key] != config[key]
        )
        told = what or "what it listens to"
        self._say("server", f"{config['updatedBy']} changes {name}: {told} (v{config['version']})")

    def _heard(self, _: Any, __: Any, message: paho.MQTTMessage) -> None:
        levels = message.topic.split("/")
        if message.retain or levels[0].startswith("_") or not message.payload:
            return
        if levels[-1] == "state":
            self._reported(levels, message.payload)
        elif len(levels) == 4:
            topic = "/".join([*levels[:3], f"{levels[3][:6]}..."])
            self._say("broker", f"{topic}  {message.payload.decode(errors='replace')}")

    def _reported(self, levels: list[str], payload: bytes) -> None:
        version = json.loads(payload)["v"]
        asked = self._asked.pop((levels[3], version), None)
        if asked is not None:
            seconds = time.monotonic() - asked
            what = f"{levels[1]}/{levels[2]} has applied v{version} after {seconds:.1f} s"
            self._say("server", what)
