"""A device's MQTT connection that records its messages."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from esp_client import clock
from esp_client.mqtt import Connection
from esp_client.stream import Stream
from tests.support.waiting import WAIT_SECONDS

WILL = ("a/status", "offline")


class Recording(Stream):
    """`writes`: the data of each write to the socket. `largest_read`: in bytes."""

    def __init__(self, *values: Any) -> None:
        super().__init__(*values)
        self.writes: list[bytes] = []
        self.largest_read = 0

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        super().write(data)

    def some(self, size: int, seconds: float) -> bytes | None:
        self.largest_read = max(self.largest_read, size)
        return super().some(size, seconds)


class Recorder:
    """A connection that records its messages."""

    def __init__(self, port: int, keepalive: int = 60, timeout: float = 5) -> None:
        self.received: list[tuple[str, bytes | None]] = []
        self.stream = Recording("127.0.0.1", port, False, "", timeout)
        self.connection = Connection(
            self.stream, keepalive, timeout, lambda *message: self.received.append(message)
        )

    def connect(self, user: str = "u", password: str = "p") -> None:
        self.connection.connect("client", user, password, WILL)


@contextmanager
def recorder(port: int, keepalive: int = 60, timeout: float = 5) -> Iterator[Recorder]:
    device = Recorder(port, keepalive, timeout)
    try:
        yield device
    finally:
        device.stream.close()


def receive_until(connection: Connection, condition: Callable[[], bool]) -> None:
    """Process packets until the condition is true."""
    start = clock.now()
    while not condition():
        assert clock.since(start) < WAIT_SECONDS * 1000, "timed out"
        connection.wait(0.1)
