"""A paho-mqtt client that receives all messages of the broker."""

import json
import threading
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.waiting import WAIT_SECONDS


class Observer:
    """A client that is subscribed to all topics. `received`: (topic, payload, QoS) in order."""

    def __init__(self, port: int, username: str = "", password: str = "") -> None:
        self.received: list[tuple[str, bytes, int]] = []
        self.changed = threading.Condition()
        self.subscribed = threading.Event()
        self.client = paho.Client(CallbackAPIVersion.VERSION2)
        if username:
            self.client.username_pw_set(username, password)
        self.client.on_subscribe = lambda *_: self.subscribed.set()
        self.client.on_connect = lambda client, *_: client.subscribe("#", 2)
        self.client.on_message = self._on_message
        self.client.reconnect_delay_set(1, 1)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert self.subscribed.wait(WAIT_SECONDS)

    def _on_message(self, _: object, __: object, message: paho.MQTTMessage) -> None:
        with self.changed:
            self.received.append((message.topic, message.payload, message.qos))
            self.changed.notify_all()

    def payloads(self, topic: str) -> list[bytes]:
        return [payload for found, payload, _ in self.received if found == topic]

    def publish(self, topic: str, payload: Any, *, retain: bool = False) -> None:
        """Publish bytes, or any other value as JSON without spaces."""
        if not isinstance(payload, bytes):
            payload = json.dumps(payload, separators=(",", ":")).encode()
        self.client.publish(topic, payload, 1, retain).wait_for_publish(WAIT_SECONDS)

    def wait(self, topic: str, payload: bytes, times: int = 1) -> None:
        """Wait until the message was received `times` times."""
        with self.changed:
            assert self.changed.wait_for(
                lambda: self.payloads(topic).count(payload) >= times, WAIT_SECONDS
            ), self.received

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()
