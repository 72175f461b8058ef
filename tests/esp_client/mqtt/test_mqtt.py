"""The MQTT client of the device: with a real broker, and with a hostile one."""

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
from tests.esp_client.mqtt.recorder import WILL, Recorder, receive_until, recorder
from tests.esp_client.observer import Observer
from tests.support.mosquitto import Mosquitto
from tests.support.timing import delay
from tests.support.waiting import wait_for

ACCEPTED = b"\x20\x02\x00\x00"
TIMEOUT_SECONDS = 0.1


def test_packet_ids_wrap_to_one(broker: Mosquitto, observer: Observer) -> None:
    with recorder(broker.port) as device:
        device.connect()
        device.connection.last = 65533
        for qos in (1, 2, 1, 2):
            device.connection.publish("a/b", b"x", qos)
        published = [data for data in device.stream.writes if data[0] & 0xF0 == 0x30]
        assert [data[7:9] for data in published] == [b"\xff\xfe", b"\xff\xff", b"\0\1", b"\0\2"]
    wait_for(lambda: observer.payloads("a/b") == [b"x"] * 4)


def test_every_packet_is_one_write(broker: Mosquitto) -> None:
    with recorder(broker.port) as device:
        device.connect()
        assert device.connection.subscribe(["a/#", "b"]) == []
        device.connection.publish("a/b", b"y" * 300, 1)
        device.connection.publish("c", b"", 2)
        device.connection.unsubscribe(["b"])
        device.connection.disconnect()
        assert device.received == [("a/b", b"y" * 300)]
        writes = device.stream.writes
        assert [data[0] for data in writes] == [
            *(0x10, 0x82, 0x32),
            # Mosquitto sends the device's own message before the PUBACK for it.
            *((0x40, 0x34) if writes[3][0] == 0x40 else (0x34,)),
            *(0x62, 0xA2, 0xE0),
        ]


def test_pings_keep_a_connection_that_only_receives(broker: Mosquitto, observer: Observer) -> None:
    start = clock.now()
    with recorder(broker.port, keepalive=2) as device:
        device.connect()
        device.connection.subscribe(["a"])
        # Mosquitto disconnects a client that is silent for 1.5 times its keep-alive.
        while clock.since(start) < 3600:
            observer.client.publish("a", b"x")
            device.connection.wait(0.1)
        assert len(device.received) > 5
        assert set(device.stream.writes[2:]) == {b"\xc0\x00"}
        device.connection.publish("a/b", b"x", 1)


def test_last_will_is_retained(broker: Mosquitto) -> None:
    with recorder(broker.port) as device:
        device.connect()
    late = Observer(broker.port)
    late.wait(*WILL[:1], b"offline")
    late.close()


def test_too_long_messages_are_skipped_and_acknowledged(
    broker: Mosquitto, observer: Observer
) -> None:
    with recorder(broker.port) as device:
        device.connect()
        device.connection.subscribe(["a/b"])
        for size in (100_000, 2048 - 7, 2048 - 6):
            observer.publish("a/b", b"z" * size)
        # Mosquitto sends at most 20 messages without an acknowledgement.
        for _ in range(30):
            observer.publish("a/b", b"z" * 3000)
        observer.publish("a/b", b"end")
        receive_until(device.connection, lambda: device.received[-1:] == [("a/b", b"end")])
        sizes = [len(payload) if payload else None for _, payload in device.received]
        assert device.stream.largest_read == 2048
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
def test_connack_error_code_is_explained(code: int, text: str, refused: bool) -> None:
    with (
        hostile(bytes([0x20, 2, 0, code])) as port,
        recorder(port) as device,
        pytest.raises(MqttError, match=text) as error,
    ):
        device.connect()
    assert error.value.refused is refused


@contextmanager
def hostile(*responses: bytes, forever: bytes = b"", close: bool = False) -> Iterator[int]:
    """Yield the port of a broker that sends the next of `responses` for each packet, then
    `forever` without end.
    """
    listening = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve() -> None:
        with suppress(OSError):
            connection, _ = listening.accept()
            with connection:
                for response in responses:
                    connection.recv(4096)
                    connection.sendall(response)
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


def waiting(device: Recorder) -> None:
    while True:
        device.connection.wait(0.1)


def publishing(device: Recorder) -> None:
    device.connection.publish("a", b"x", 1)


def subscribing(device: Recorder) -> None:
    device.connection.subscribe(["a"])


def check_session_fails(port: int, act: Callable[[Recorder], None], **values: Any) -> None:
    """Assert that the session ends with one of the expected errors."""

    def session(device: Recorder) -> None:
        device.connect()
        act(device)

    with recorder(port, **values) as device, pytest.raises((MqttError, OSError, ValueError)):
        session(device)


PINGRESP = b"\xd0\x00"
HOSTILE: dict[str, tuple[Callable[[Recorder], None], tuple[bytes, ...], bytes]] = {
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
def test_connection_to_hostile_broker_ends(name: str) -> None:
    act, responses, forever = HOSTILE[name]
    start = clock.now()
    with hostile(*responses, forever=forever) as port:
        check_session_fails(port, act, keepalive=1, timeout=TIMEOUT_SECONDS)
    assert clock.since(start) < 3000 * delay()


@pytest.mark.alone
@pytest.mark.parametrize("responses", [(b"",), (ACCEPTED,), (ACCEPTED + b"\x30",)])
def test_closed_connection_is_noticed_at_once(responses: tuple[bytes, ...]) -> None:
    start = clock.now()
    with hostile(*responses, close=True) as port:
        check_session_fails(port, waiting)
    assert clock.since(start) < 2000 * delay()


@examples(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=60))
def test_random_bytes_end_the_session_with_an_expected_error(data: bytes) -> None:
    with hostile(ACCEPTED + data, close=True) as port:
        check_session_fails(port, waiting, timeout=TIMEOUT_SECONDS)


def test_tls_connection_verifies_the_certificate_of_the_broker(tmp_path: Path) -> None:
    for name in ("ca", "other"):
        certificate(tmp_path, name)
    broker = Mosquitto(
        tmp_path,
        "allow_anonymous true",
        f"certfile {tmp_path}/ca.crt",
        f"keyfile {tmp_path}/ca.key",
    )
    broker.start()
    received: list[tuple[str, bytes]] = []
    try:
        stream = Stream("localhost", broker.port, True, str(tmp_path / "ca.crt"), 5)
        connection = Connection(stream, 60, 5, lambda *message: received.append(message))
        connection.connect("client", "u", "p", WILL)
        connection.subscribe(["a"])
        connection.publish("a", b"x" * 2000, 1)
        receive_until(connection, lambda: bool(received))
        stream.close()
        for name, ca in (("localhost", "other.crt"), ("127.0.0.1", "ca.crt")):
            with pytest.raises(OSError, match="certificate verify failed"):
                Stream(name, broker.port, True, str(tmp_path / ca), 5)
        with pytest.raises(ValueError, match="CA certificate"):
            Stream("localhost", broker.port, True, "", 5)
    finally:
        broker.stop()


def certificate(folder: Path, name: str) -> None:
    """Create a self-signed certificate for localhost."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    command += ["-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.crt")]
    subprocess.run(command, check=True, capture_output=True)
