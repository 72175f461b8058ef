"""The MQTT client by itself: packets at a real broker, and whatever a hostile one sends."""

import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from esp_client import clock
from esp_client.mqtt import Connection
from esp_client.packets import MqttError
from esp_client.stream import Stream
from tests.esp_client.neighbour import Neighbour
from tests.support.mosquitto import Mosquitto
from tests.support.timing import delay
from tests.support.waiting import WAIT_SECONDS, wait_for

WILL = ("a/status", "offline")
ACCEPTED = b"\x20\x02\x00\x00"
PATIENCE = 0.1


class Recording(Stream):
    """`writes`: what went to the socket, each time. `most`: the largest read."""

    def __init__(self, *values: Any) -> None:
        super().__init__(*values)
        self.writes: list[bytes] = []
        self.most = 0

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        super().write(data)

    def some(self, size: int, seconds: float) -> bytes | None:
        self.most = max(self.most, size)
        return super().some(size, seconds)


class Line:
    """A connection, and what it heard."""

    def __init__(self, port: int, keepalive: int = 60, timeout: float = 5) -> None:
        self.heard: list[tuple[str, bytes | None]] = []
        self.stream = Recording("127.0.0.1", port, False, "", timeout)
        self.connection = Connection(
            self.stream, keepalive, timeout, lambda *message: self.heard.append(message)
        )

    def connect(self, user: str = "u", password: str = "p") -> None:
        self.connection.connect("client", user, password, WILL)


@contextmanager
def line(port: int, keepalive: int = 60, timeout: float = 5) -> Iterator[Line]:
    found = Line(port, keepalive, timeout)
    try:
        yield found
    finally:
        found.stream.close()


def take(connection: Connection, enough: Callable[[], bool]) -> None:
    """Packets, until there are enough."""
    start = clock.now()
    while not enough():
        assert clock.since(start) < WAIT_SECONDS * 1000, "waited in vain"
        connection.wait(0.1)


def test_packet_ids_wrap_to_one(broker: Mosquitto, neighbour: Neighbour) -> None:
    with line(broker.port) as device:
        device.connect()
        device.connection.last = 65533
        for qos in (1, 2, 1, 2):
            device.connection.publish("a/b", b"x", qos)
        published = [data for data in device.stream.writes if data[0] & 0xF0 == 0x30]
        assert [data[7:9] for data in published] == [b"\xff\xfe", b"\xff\xff", b"\0\1", b"\0\2"]
    wait_for(lambda: neighbour.payloads("a/b") == [b"x"] * 4)


def test_every_packet_is_one_write(broker: Mosquitto) -> None:
    with line(broker.port) as device:
        device.connect()
        assert device.connection.subscribe(["a/#", "b"]) == []
        device.connection.publish("a/b", b"y" * 300, 1)
        device.connection.publish("c", b"", 2)
        device.connection.unsubscribe(["b"])
        device.connection.disconnect()
        assert device.heard == [("a/b", b"y" * 300)]
        writes = device.stream.writes
        assert [data[0] for data in writes] == [
            *(0x10, 0x82, 0x32),
            # The message came back before its PUBACK; Mosquitto sends them in this order.
            *((0x40, 0x34) if writes[3][0] == 0x40 else (0x34,)),
            *(0x62, 0xA2, 0xE0),
        ]


def test_pings_keep_a_connection_that_only_hears(broker: Mosquitto, neighbour: Neighbour) -> None:
    start = clock.now()
    with line(broker.port, keepalive=2) as device:
        device.connect()
        device.connection.subscribe(["a"])
        # Mosquitto drops a client that was silent for half as long again as its keep-alive.
        while clock.since(start) < 3600:
            neighbour.client.publish("a", b"x")
            device.connection.wait(0.1)
        assert len(device.heard) > 5
        assert set(device.stream.writes[2:]) == {b"\xc0\x00"}
        device.connection.publish("a/b", b"x", 1)


def test_a_last_will_is_retained(broker: Mosquitto) -> None:
    with line(broker.port) as device:
        device.connect()
    late = Neighbour(broker.port)
    late.wait(*WILL[:1], b"offline")
    late.close()


def test_long_messages_are_left_out_and_acknowledged(
    broker: Mosquitto, neighbour: Neighbour
) -> None:
    with line(broker.port) as device:
        device.connect()
        device.connection.subscribe(["a/b"])
        for size in (100_000, 2048 - 7, 2048 - 6):
            neighbour.publish("a/b", b"z" * size)
        # More than Mosquitto sends without an acknowledgement, which is 20.
        for _ in range(30):
            neighbour.publish("a/b", b"z" * 3000)
        neighbour.publish("a/b", b"end")
        take(device.connection, lambda: device.heard[-1:] == [("a/b", b"end")])
        sizes = [len(payload) if payload else None for _, payload in device.heard]
        assert device.stream.most == 2048
        assert sizes == [None, 2041, None, *[None] * 30, 3]


@pytest.mark.parametrize(
    ("code", "text", "refused"),
    [
        (1, "MQTT 3.1.1", False),
        (2, "client id", False),
        (3, "not available", False),
        (4, "user name or password", True),
        (5, "not authorize", True),
        (9, "code 9", False),
    ],
)
def test_what_the_broker_refuses_is_told(code: int, text: str, refused: bool) -> None:
    with (
        hostile(bytes([0x20, 2, 0, code])) as port,
        line(port) as device,
        pytest.raises(MqttError, match=text) as error,
    ):
        device.connect()
    assert error.value.refused is refused


@contextmanager
def hostile(*answers: bytes, forever: bytes = b"", close: bool = False) -> Iterator[int]:
    """The port of a broker that answers each packet with the next of these, whatever it is."""
    listening = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve() -> None:
        with suppress(OSError):
            connection, _ = listening.accept()
            with connection:
                for answer in answers:
                    connection.recv(4096)
                    connection.sendall(answer)
                while forever and not over.is_set():
                    connection.sendall(forever)
                if not close:
                    over.wait(10)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        over.set()
        listening.close()
        thread.join(10)
        assert not thread.is_alive()


def waiting(device: Line) -> None:
    while True:
        device.connection.wait(0.1)


def publishing(device: Line) -> None:
    device.connection.publish("a", b"x", 1)


def subscribing(device: Line) -> None:
    device.connection.subscribe(["a"])


def ends(port: int, act: Callable[[Line], None], **values: Any) -> None:
    """Whether a session ends, and with one of the errors that it may."""

    def session(device: Line) -> None:
        device.connect()
        act(device)

    with line(port, **values) as device, pytest.raises((MqttError, OSError, ValueError)):
        session(device)


PINGRESP = b"\xd0\x00"
HOSTILE: dict[str, tuple[Callable[[Line], None], tuple[bytes, ...], bytes]] = {
    "silence": (waiting, (), b""),
    "HTTP": (waiting, (b"HTTP/1.1 400 Bad Request\r\n\r\n",), b""),
    "a CONNACK too long": (waiting, (b"\x20\x03\x00\x00\x00",), b""),
    "half a CONNACK": (waiting, (b"\x20\x02\x00",), b""),
    "PINGRESP for ever instead of CONNACK": (waiting, (), PINGRESP),
    "a length without end": (waiting, (ACCEPTED,), b"\xff"),
    "a type for brokers": (waiting, (ACCEPTED + b"\x10\x00",), b""),
    "type 0": (waiting, (ACCEPTED + b"\x00\x00",), b""),
    "type 15": (waiting, (ACCEPTED + b"\xf0\x00",), b""),
    "PUBREL": (waiting, (ACCEPTED + b"\x62\x02\x00\x01",), b""),
    "a huge PINGRESP": (waiting, (ACCEPTED + b"\xd0\xff\xff\x7f",), b""),
    "a message of QoS 2": (waiting, (ACCEPTED + b"\x34\x06\x00\x01a\x00\x01x",), b""),
    "a message of QoS 3": (waiting, (ACCEPTED + b"\x36\x06\x00\x01a\x00\x01x",), b""),
    "an empty message": (waiting, (ACCEPTED + b"\x30\x00",), b""),
    "a topic beyond the end": (waiting, (ACCEPTED + b"\x30\x04\x00\xffab",), b""),
    "a topic that is not UTF-8": (waiting, (ACCEPTED + b"\x30\x03\x00\x01\xff",), b""),
    "a huge topic": (waiting, (ACCEPTED + b"\x30\xff\xff\x03\xff\xff",), b"a" * 9000),
    "a message cut off": (waiting, (ACCEPTED + b"\x30\x10\x00\x01ab",), b""),
    "256 MB": (waiting, (ACCEPTED + b"\x30\xff\xff\xff\x7f\x00\x01a",), b"x" * 65536),
    "256 MB cut off": (waiting, (ACCEPTED + b"\x30\xff\xff\xff\x7f\x00\x01a",), b""),
    "another's PUBACK": (publishing, (ACCEPTED, b"\x40\x02\x00\x09"), b""),
    "a PUBACK too long": (publishing, (ACCEPTED, b"\x40\x03\x00\x01\x00"), b""),
    "messages for ever instead of PUBACK": (publishing, (ACCEPTED,), b"\x30\x03\x00\x01a"),
    "a SUBACK too short": (subscribing, (ACCEPTED, b"\x90\x02\x00\x01"), b""),
    "PUBACK instead of SUBACK": (subscribing, (ACCEPTED, b"\x40\x02\x00\x01"), b""),
}


@pytest.mark.alone
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_broker_is_given_up(name: str) -> None:
    act, answers, forever = HOSTILE[name]
    start = clock.now()
    with hostile(*answers, forever=forever) as port:
        ends(port, act, keepalive=1, timeout=PATIENCE)
    assert clock.since(start) < 3000 * delay()


@pytest.mark.alone
@pytest.mark.parametrize("answers", [(b"",), (ACCEPTED,), (ACCEPTED + b"\x30",)])
def test_a_broker_that_hangs_up_is_noticed_at_once(answers: tuple[bytes, ...]) -> None:
    start = clock.now()
    with hostile(*answers, close=True) as port:
        ends(port, waiting)
    assert clock.since(start) < 2000 * delay()


@examples(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=60))
def test_no_bytes_lead_to_anything_but_a_clear_end(data: bytes) -> None:
    with hostile(ACCEPTED + data, close=True) as port:
        ends(port, waiting, timeout=PATIENCE)


def test_a_connection_is_encrypted_and_the_broker_proven(tmp_path: Path) -> None:
    for name in ("ca", "other"):
        certificate(tmp_path, name)
    broker = Mosquitto(
        tmp_path,
        "allow_anonymous true",
        f"certfile {tmp_path}/ca.crt",
        f"keyfile {tmp_path}/ca.key",
    )
    broker.start()
    heard: list[tuple[str, bytes]] = []
    try:
        stream = Stream("localhost", broker.port, True, str(tmp_path / "ca.crt"), 5)
        connection = Connection(stream, 60, 5, lambda *message: heard.append(message))
        connection.connect("client", "u", "p", WILL)
        connection.subscribe(["a"])
        connection.publish("a", b"x" * 2000, 1)
        take(connection, lambda: bool(heard))
        stream.close()
        for name, ca in (("localhost", "other.crt"), ("127.0.0.1", "ca.crt")):
            with pytest.raises(OSError, match="certificate verify failed"):
                Stream(name, broker.port, True, str(tmp_path / ca), 5)
        with pytest.raises(ValueError, match="CA certificate"):
            Stream("localhost", broker.port, True, "", 5)
    finally:
        broker.stop()


def certificate(folder: Path, name: str) -> None:
    """Signed by itself, for localhost."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    command += ["-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.crt")]
    subprocess.run(command, check=True, capture_output=True)
