"""The other side of the broker: an ordinary MQTT client, by paho-mqtt."""

import json
import threading
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.waiting import WAIT_SECONDS


class Neighbour:
    """Hears everything. `heard`: (topic, payload, QoS) in their order."""

    def __init__(self, port: int, username: str = "", password: str = "") -> None:
        self.heard: list[tuple[str, bytes, int]] = []
        self.news = threading.Condition()
        self.listening = threading.Event()
        self.client = paho.Client(CallbackAPIVersion.VERSION2)
        if username:
            self.client.username_pw_set(username, password)
        self.client.on_subscribe = lambda *_: self.listening.set()
        self.client.on_connect = lambda client, *_: client.subscribe("#", 2)
        self.client.on_message = self.hear
        self.client.reconnect_delay_set(1, 1)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert self.listening.wait(WAIT_SECONDS)

    def hear(self, _: object, __: object, message: paho.MQTTMessage) -> None:
        with self.news:
            self.heard.append((message.topic, message.payload, message.qos))
            self.news.notify_all()

    def payloads(self, topic: str) -> list[bytes]:
        return [payload for found, payload, _ in self.heard if found == topic]

    def publish(self, topic: str, payload: Any, *, retain: bool = False) -> None:
        """Anything but bytes as JSON without spaces."""
        if not isinstance(payload, bytes):
            payload = json.dumps(payload, separators=(",", ":")).encode()
        self.client.publish(topic, payload, 1, retain).wait_for_publish(WAIT_SECONDS)

    def wait(self, topic: str, payload: bytes, times: int = 1) -> None:
        """Until that was heard so many times."""
        with self.news:
            assert self.news.wait_for(
                lambda: self.payloads(topic).count(payload) >= times, WAIT_SECONDS
            ), self.heard

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()
