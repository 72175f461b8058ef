"""An embedded broker for a test, its users, and its clients."""

import asyncio
import threading
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as paho

from domain.errors import Unavailable
from domain.mqtt.rights import Rights, admin_rights, device_rights
from mqtt.auth.authenticator import Login
from mqtt.embedded import BrokerLimits, EmbeddedBroker, listen
from tests.support.waiting import WAIT_SECONDS, until

PASSWORD = "secret"
LAMP = "ann/hall/light/lamp"
DOOR = "bob/hall/contact/door"
CONFIG = f"{LAMP}/config"
FREQUENT_CHECKS = BrokerLimits(check_seconds=0.05)
RARE_CHECKS = BrokerLimits(check_seconds=3600)


class Users:
    """A fake authenticator. `unavailable`: the database is not available. `queries`: count of
    calls of `rights`.
    """

    def __init__(self) -> None:
        self.tokens = {"rollcall": None, "admin": 1, "lamp": 2, "door": 3}
        self.rights_of = {
            "admin": admin_rights(None),
            "lamp": device_rights([LAMP], []),
            "door": device_rights([DOOR], []),
        }
        self.unavailable = False
        self.queries = 0

    async def login(self, username: str, password: str) -> Login | None:
        if self.unavailable:
            raise Unavailable
        assert username
        if password != PASSWORD or username not in self.tokens:
            return None
        return Login(username, self.tokens[username])

    async def rights(self, logins: Collection[Login]) -> Mapping[Login, Rights]:
        if self.unavailable:
            raise Unavailable
        self.queries += 1
        assert all(login.token_id is not None for login in logins)
        return {
            login: self.rights_of[login.username]
            for login in logins
            if login.username in self.rights_of
        }


@asynccontextmanager
async def served(
    users: Users, limits: BrokerLimits = FREQUENT_CHECKS
) -> AsyncIterator[EmbeddedBroker]:
    broker = EmbeddedBroker(listen("127.0.0.1", 0), users, limits)
    async with broker.running():
        watch = asyncio.create_task(broker.watch())
        yield broker
        watch.cancel()


class Paho:
    """A paho client in its own thread. `reason`: of the CONNACK. `codes`: of the SUBACKs."""

    def __init__(
        self, port: int, username: str | None, client_id: str = "", **options: Any
    ) -> None:
        will = options.pop("will", None)
        password = options.pop("password", PASSWORD)
        keepalive = options.pop("keepalive", 60)
        self.client = paho.Client(
            paho.CallbackAPIVersion.VERSION2,
            client_id,
            reconnect_on_failure=False,
            **{"protocol": paho.MQTTv311, **options},
        )
        if username is not None:
            self.client.username_pw_set(username, password)
        if will:
            self.client.will_set(**will)
        self.reason: str | None = None
        self.session_present = False
        self.lost = False
        self.codes: list[int] = []
        self.acknowledged: set[int] = set()
        self.messages: list[paho.MQTTMessage] = []
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = self._on_disconnect
        self.client.on_message = lambda _, __, message: self.messages.append(message)
        self.client.on_subscribe = lambda _, __, ___, codes, ____: self.codes.extend(
            code.value for code in codes
        )
        self.client.on_publish = lambda _, __, mid, ___, ____: self.acknowledged.add(mid)
        self.client.connect_async("127.0.0.1", port, keepalive)
        self.client.loop_start()

    def _on_connect(self, _: Any, __: Any, flags: Any, reason: Any, ___: Any) -> None:
        self.session_present, self.reason = flags.session_present, str(reason)

    def _on_disconnect(self, *_: Any) -> None:
        self.lost = True

    @property
    def received(self) -> list[tuple[str, bytes]]:
        return [(message.topic, message.payload) for message in self.messages]

    async def connect_reason(self) -> str:
        await until(lambda: self.reason is not None)
        assert self.reason
        return self.reason

    async def subscribe(self, *filters: str, qos: int = 1) -> list[int]:
        """Subscribe, and return the code for each filter."""
        self.codes.clear()
        self.client.subscribe([(filter, qos) for filter in filters])
        await until(lambda: len(self.codes) == len(filters))
        return list(self.codes)

    async def publish(self, topic: str, payload: bytes, **options: Any) -> None:
        info = self.client.publish(topic, payload, **{"qos": 1, **options})
        await until(lambda: info.mid in self.acknowledged)

    def drop_connection(self) -> None:
        """Close the connection without a DISCONNECT."""
        socket = self.client.socket()
        assert socket
        socket.close()

    async def __aenter__(self) -> Self:
        assert await self.connect_reason() == "Success"
        return self

    async def __aexit__(
        self,
        _: type[BaseException] | None,
        __: BaseException | None,
        ___: TracebackType | None,
    ) -> None:
        await self.leave()

    async def leave(self) -> None:
        self.client.disconnect()
        thread = threading.Thread(target=self.client.loop_stop)
        thread.start()
        await until(lambda: not thread.is_alive())


class Raw:
    """A TCP connection for arbitrary bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    @asynccontextmanager
    async def to(cls, port: int, *sent: bytes) -> AsyncIterator["Raw"]:
        raw = cls(*await asyncio.open_connection("127.0.0.1", port))
        raw.writer.write(b"".join(sent))
        try:
            yield raw
        finally:
            raw.writer.transport.abort()

    async def expect(self, *packets: bytes) -> None:
        expected = b"".join(packets)
        async with asyncio.timeout(WAIT_SECONDS):
            assert await self.reader.readexactly(len(expected)) == expected

    async def rest(self) -> bytes:
        """Return all bytes until the broker closes the connection."""
        async with asyncio.timeout(WAIT_SECONDS):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""


def text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return len(data).to_bytes(2, "big") + data


def packet(first: int, body: bytes) -> bytes:
    head, length = bytearray([first]), len(body)
    while True:
        length, byte = divmod(length, 128)
        head.append(byte | (0x80 if length else 0))
        if not length:
            return bytes(head) + body


def connect(
    username: str, client_id: str = "raw", *, clean: bool = True, keepalive: int = 0
) -> bytes:
    flags = 0xC0 | (2 if clean else 0)
    head = text("MQTT") + bytes([4, flags]) + keepalive.to_bytes(2, "big")
    return packet(0x10, head + text(client_id) + text(username) + text(PASSWORD))


def subscribe(filter: str, qos: int = 1) -> bytes:
    return packet(0x82, b"\0\1" + text(filter) + bytes([qos]))


def publish(topic: str, payload: bytes, qos: int = 0, number: int = 1) -> bytes:
    packet_id = number.to_bytes(2, "big") if qos else b""
    return packet(0x30 | qos << 1, text(topic) + packet_id + payload)


ACCEPTED = b"\x20\2\0\0"
RESUMED = b"\x20\2\1\0"
GRANTED = b"\x90\3\0\1\1"
DISCONNECT = b"\xe0\0"
