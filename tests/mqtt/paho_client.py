"""A real client of a broker. Whatever it does, it waits for the broker's word on it, or its end."""

import socket
import threading
from collections.abc import Callable
from typing import Any, Self

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties

SECONDS = 30


class PahoClient:
    """`received`: topic and payload of each message. `ended`: refused, or its connection is gone.

    It never connects again by itself. Its client id is its user name where none is given.
    """

    # One for all, so that a test can wait for what happens to several.
    news = threading.Condition()

    def __init__(
        self,
        port: int,
        username: str | None,
        password: str | None,
        *,
        host: str = "127.0.0.1",
        client_id: str | None = None,
        clean: bool = True,
        version: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv311,
    ) -> None:
        self.host, self.port = host, port
        self.received: list[tuple[str, str]] = []
        self.connected = self.ended = self.session_present = False
        self.granted: dict[int | None, bool] = {}
        self.acknowledged: set[int] = set()
        self.client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=username or "" if client_id is None else client_id,
            clean_session=None if version == MQTTProtocolVersion.MQTTv5 else clean,
            protocol=version,
            reconnect_on_failure=False,
        )
        if username is not None:
            self.client.username_pw_set(username, password)
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = self._on_disconnect
        self.client.on_message = self._on_message
        self.client.on_subscribe = self._on_subscribe
        self.client.on_publish = self._on_publish

    def connect(self) -> bool:
        """Whether the broker lets it in."""
        self.client.connect(self.host, self.port)
        self.client.loop_start()
        self.wait(lambda: self.connected)
        return self.connected

    def subscribe(self, filter: str, qos: int = 1) -> bool:
        """Whether the broker says that it granted it."""
        mid = self.client.subscribe(filter, qos)[1]
        self.wait(lambda: mid in self.granted)
        return self.granted.get(mid, False)

    def publish(
        self,
        topic: str,
        payload: str,
        *,
        retain: bool = False,
        properties: Properties | None = None,
    ) -> int:
        """QoS 1. Waits for no answer, as a broker may give none to what it denies: see `sent`."""
        return self.client.publish(topic, payload, 1, retain, properties).mid

    def sent(self, topic: str, payload: str, *, retain: bool = False) -> None:
        """Publishes, and waits until the broker has it."""
        mid = self.publish(topic, payload, retain=retain)
        self.wait(lambda: mid in self.acknowledged)

    def cut_line(self) -> None:
        """Without a word to the broker."""
        line = self.client.socket()
        assert isinstance(line, socket.socket)
        line.shutdown(socket.SHUT_RDWR)
        self.wait(lambda: False)

    def alive(self) -> bool:
        """Asks the broker, by subscribing to what nobody uses."""
        self.subscribe("nobody/uses/this")
        return not self.ended

    def topics(self) -> set[str]:
        return {topic for topic, _ in self.received}

    def wait(self, condition: Callable[[], bool], seconds: float = SECONDS) -> None:
        """Until the condition holds, or the connection has ended."""
        with self.news:
            assert self.news.wait_for(lambda: self.ended or condition(), seconds), "waited in vain"

    def stop(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()
        # paho leaves two sockets to the garbage collector.
        self.client._reset_sockets(sockpair_only=True)

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _on_connect(self, _c: Any, _u: Any, flags: Any, code: Any, _p: Any) -> None:
        with self.news:
            self.session_present = flags.session_present
            self.connected, self.ended = not code.is_failure, code.is_failure
            self.news.notify_all()

    def _on_disconnect(self, *_: Any) -> None:
        with self.news:
            self.ended = True
            self.news.notify_all()

    def _on_message(self, _c: Any, _u: Any, message: MQTTMessage) -> None:
        with self.news:
            self.received.append((message.topic, message.payload.decode()))
            self.news.notify_all()

    def _on_subscribe(self, _c: Any, _u: Any, mid: int, codes: list[Any], _p: Any) -> None:
        with self.news:
            self.granted[mid] = not any(code.is_failure for code in codes)
            self.news.notify_all()

    def _on_publish(self, _c: Any, _u: Any, mid: int, *_: Any) -> None:
        with self.news:
            self.acknowledged.add(mid)
            self.news.notify_all()
