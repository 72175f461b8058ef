"""An ordinary MQTT client, by paho-mqtt, that shows what the broker has and lets through."""

import asyncio
import json
import threading
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.waiting import until


class Observer:
    """`kept`: the newest payload of each topic. `heard`: all messages, in order."""

    def __init__(self, port: int, username: str, password: str, **options: Any) -> None:
        self.kept: dict[str, bytes] = {}
        self.heard: list[tuple[str, bytes]] = []
        self.connected = threading.Event()
        self.refused: str | None = None
        self.ended = threading.Event()
        self.granted: dict[int, list[int]] = {}
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2, reconnect_on_failure=False, **options
        )
        self.client.username_pw_set(username, password)
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = lambda *_: self.ended.set()
        self.client.on_message = self._on_message
        self.client.on_subscribe = lambda _, __, mid, codes, ___: self.granted.update(
            {mid: [code.value for code in codes]}
        )
        self._port = port

    def _on_connect(self, _: Any, __: Any, ___: Any, code: Any, ____: Any) -> None:
        if code.is_failure:
            self.refused = str(code)
        self.connected.set()

    def _on_message(self, _: Any, __: Any, message: paho.MQTTMessage) -> None:
        self.heard.append((message.topic, message.payload))
        # In paho's thread: a new dict, so that the test may iterate over the one it has.
        kept = {**self.kept, message.topic: message.payload}
        self.kept = {topic: payload for topic, payload in kept.items() if payload}

    async def open(self) -> Self:
        self.client.connect_async("127.0.0.1", self._port, 20)
        self.client.loop_start()
        await until(self.connected.is_set)
        return self

    async def close(self) -> None:
        self.client.disconnect()
        await asyncio.to_thread(self.client.loop_stop)

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def subscribe(self, filter: str, qos: int = 0) -> list[int]:
        """The broker's answer: 128 is no."""
        _, mid = self.client.subscribe(filter, qos)
        assert mid is not None
        await until(lambda: mid in self.granted)
        return self.granted[mid]

    async def publish(
        self, topic: str, payload: str | bytes, *, qos: int = 1, retain: bool = True
    ) -> None:
        info = self.client.publish(topic, payload, qos=qos, retain=retain)
        await until(info.is_published)

    def config(self, topic: str) -> dict[str, Any] | None:
        """What is retained as the config of a device with this base topic."""
        payload = self.kept.get(f"{topic}/config")
        return dict(json.loads(payload)) if payload else None

    def configs(self) -> dict[str, int]:
        """The version that each config topic has."""
        return {
            topic: json.loads(payload)["v"]
            for topic, payload in self.kept.items()
            if topic.endswith("/config")
        }
