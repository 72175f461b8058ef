"""An MQTT client whose methods wait for the response of the broker or the end of the connection."""

import socket
import threading
from collections.abc import Callable
from typing import Any, Self

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties

SECONDS = 30


class PahoClient:
    """`received`: topic and payload of each message. `ended`: rejected or disconnected.

    It does not reconnect. The default client id is the user name.
    """

    # Shared by all clients, so that a test can wait for changes of several clients.
    changed = threading.Condition()

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
        """Return True if the broker accepts the connection."""
        self.client.connect(self.host, self.port)
        self.client.loop_start()
        self.wait(lambda: self.connected)
        return self.connected

    def subscribe(self, filter: str, qos: int = 1) -> bool:
        """Return True if the broker's SUBACK grants the subscription."""
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
        """Publish with QoS 1, without waiting: a broker may not acknowledge denied messages."""
        return self.client.publish(topic, payload, 1, retain, properties).mid

    def sent(self, topic: str, payload: str, *, retain: bool = False) -> None:
        """Publish, and wait until the broker has acknowledged the message."""
        mid = self.publish(topic, payload, retain=retain)
        self.wait(lambda: mid in self.acknowledged)

    def abort_connection(self) -> None:
        """Close the connection without a DISCONNECT."""
        connection = self.client.socket()
        assert isinstance(connection, socket.socket)
        connection.shutdown(socket.SHUT_RDWR)
        self.wait(lambda: False)

    def alive(self) -> bool:
        """Return True if the broker still responds, here to a subscription."""
        self.subscribe("no/such/topic")
        return not self.ended

    def topics(self) -> set[str]:
        return {topic for topic, _ in self.received}

    def wait(self, condition: Callable[[], bool], seconds: float = SECONDS) -> None:
        """Wait until the condition is true or the connection has ended."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.ended or condition(), seconds), "timed out"

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
        with self.changed:
            self.session_present = flags.session_present
            self.connected, self.ended = not code.is_failure, code.is_failure
            self.changed.notify_all()

    def _on_disconnect(self, *_: Any) -> None:
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def _on_message(self, _c: Any, _u: Any, message: MQTTMessage) -> None:
        with self.changed:
            self.received.append((message.topic, message.payload.decode()))
            self.changed.notify_all()

    def _on_subscribe(self, _c: Any, _u: Any, mid: int, codes: list[Any], _p: Any) -> None:
        with self.changed:
            self.granted[mid] = not any(code.is_failure for code in codes)
            self.changed.notify_all()

    def _on_publish(self, _c: Any, _u: Any, mid: int, *_: Any) -> None:
        with self.changed:
            self.acknowledged.add(mid)
            self.changed.notify_all()
