"""Finds out whether Mosquitto has read the files, by an account without rights."""

import hmac
import secrets
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum, auto
from hashlib import sha256

from amqtt.mqtt.connect import ConnectPacket, ConnectPayload, ConnectVariableHeader
from amqtt.mqtt.packet import PUBACK, PUBLISH
from amqtt.mqtt.publish import PublishPacket
from amqtt.mqtt.subscribe import SubscribePacket

from domain.mqtt.accounts import PASSWORD_ITERATIONS, SALT_BYTES, mosquitto_hash
from mqtt.address import Address, tls_context

PREFIX = "rollcall-probe-"
CONNECT_SECONDS = 5.0
# A reload with 100,000 accounts takes minutes, and Mosquitto responds only after it.
ANSWER_SECONDS = 600.0
KEEPALIVE_SECONDS = 1_200
# MQTT 3.1.1, section 3.1.2.3: user name, password, clean session.
CONNECT_FLAGS = 0b1100_0010
CONNACK_BYTES, ACCEPTED = 4, 0
PACKET_ID = 1


class Answer(Enum):
    """`UNGUARDED`: it has read the password file, but lets every client do everything."""

    READ = auto()
    UNREAD = auto()
    UNGUARDED = auto()
    UNREACHABLE = auto()


class Probe:
    """Logs in by an account that only one generation of the files contains.

    The login succeeds only if Mosquitto has read that generation. `address`: of a listener that
    checks passwords. The probe's password is derived from the server's and is not stored.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self.cancelled = threading.Event()
        self._socket: socket.socket | None = None

    def line(self, name: str) -> str:
        """Return the probe's line of the password file."""
        salt = sha256(name.encode()).digest()[:SALT_BYTES]
        return f"{name}:{mosquitto_hash(self._password(name), salt, PASSWORD_ITERATIONS)}"

    def ask(self, name: str) -> Answer:
        """Connect and return the result. Blocks while Mosquitto reads its files."""
        try:
            with self._connected() as connection:
                connection.sendall(_connect(name, self._password(name)))
                answer = _read(connection, CONNACK_BYTES)
                if len(answer) < CONNACK_BYTES:
                    return Answer.UNREACHABLE
                if answer[-1] != ACCEPTED:
                    return Answer.UNREAD
                return Answer.UNGUARDED if _may_publish(connection, name) else Answer.READ
        except OSError:
            return Answer.UNREACHABLE

    def cancel(self) -> None:
        """Stop a wait in another thread, and prevent further waits while `cancelled` is set."""
        self.cancelled.set()
        if blocked := self._socket:
            with suppress(OSError):
                blocked.shutdown(socket.SHUT_RDWR)

    def _password(self, name: str) -> str:
        return hmac.digest((self.address.password or "").encode(), name.encode(), "sha256").hex()

    @contextmanager
    def _connected(self) -> Iterator[socket.socket]:
        """Raises OSError if there is no connection."""
        target = (self.address.host, self.address.port)
        with socket.create_connection(target, CONNECT_SECONDS) as plain:
            plain.settimeout(ANSWER_SECONDS)
            self._socket = plain
            if self.cancelled.is_set():
                raise ConnectionAbortedError
            try:
                if not self.address.tls:
                    yield plain
                    return
                context: ssl.SSLContext = tls_context(self.address)
                with context.wrap_socket(plain, server_hostname=self.address.host) as secure:
                    self._socket = secure
                    yield secure
            finally:
                self._socket = None


def new_name() -> str:
    return PREFIX + secrets.token_hex(16)


def _connect(name: str, password: str) -> bytes:
    header = ConnectVariableHeader(CONNECT_FLAGS, KEEPALIVE_SECONDS)
    payload = ConnectPayload(name, username=name, password=password)
    return ConnectPacket(variable_header=header, payload=payload).to_bytes()


def _may_publish(connection: socket.socket, topic: str) -> bool:
    """Whether Mosquitto delivers a message to itself. It would send it before the PUBACK."""
    subscribe = SubscribePacket.build([(topic, 0)], PACKET_ID)
    publish = PublishPacket.build(topic, b"", PACKET_ID, dup_flag=False, qos=1, retain=False)
    connection.sendall(subscribe.to_bytes() + publish.to_bytes())
    while head := _read(connection, 2):
        kind = head[0] >> 4
        if kind in (PUBLISH, PUBACK):
            return kind == PUBLISH
        # All expected packets are shorter than 128 bytes, so their length has one byte.
        _read(connection, head[-1])
    return False


def _read(connection: socket.socket, count: int) -> bytes:
    """Read `count` bytes, or fewer if the connection ends."""
    found = b""
    while len(found) < count and (more := connection.recv(count - len(found))):
        found += more
    return found
