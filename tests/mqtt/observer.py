"""A paho-mqtt client that records the messages of the broker."""

import asyncio
import json
import threading
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.waiting import until

CONNECT_SECONDS = 30


class Observer:
    """`latest`: the newest payload of each topic. `received`: all messages, in order."""

    def __init__(self, port: int, username: str, password: str, **options: Any) -> None:
        self.latest: dict[str, bytes] = {}
        self.received: list[tuple[str, bytes]] = []
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
        self.received.append((message.topic, message.payload))
        if message.payload:
            self.latest[message.topic] = message.payload
        else:
            self.latest.pop(message.topic, None)

    async def open(self) -> Self:
        self.client.connect_async("127.0.0.1", self._port, 20)
        self.client.loop_start()
        if not await asyncio.to_thread(self.connected.wait, CONNECT_SECONDS):
            await self.close()
            raise AssertionError("the broker does not answer")
        return self

    async def close(self) -> None:
        self.client.disconnect()
        await asyncio.to_thread(self.client.loop_stop)

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def subscribe(self, filter: str, qos: int = 0) -> list[int]:
        """Return the codes of the SUBACK; 128 means rejected."""
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
        """Return the config of the device with this base topic, or None."""
        payload = self.latest.get(f"{topic}/config")
        return dict(json.loads(payload)) if payload else None

    def configs(self) -> dict[str, int]:
        """Return the config version of each config topic."""
        return {
            topic: json.loads(payload)["v"]
            # Copied because messages arrive in another thread.
            for topic, payload in self.latest.copy().items()
            if topic.endswith("/config")
        }


async def open_observer(
    port: int, username: str, password: str, will: str | None = None, **options: Any
) -> Observer:
    """Retry until the broker accepts the connection. `will`: topic of a last will, `offline`."""

    async def attempt() -> Observer | None:
        observer = Observer(port, username, password, **options)
        if will:
            observer.client.will_set(will, "offline", 1, retain=True)
        await observer.open()
        if not observer.refused:
            return observer
        await observer.close()
        return None

    found: Observer = await until(attempt)
    return found
