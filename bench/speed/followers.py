"""A minimal client of graphql-transport-ws, for thousands of WebSockets in one event loop."""

import asyncio
import json
import time
from dataclasses import dataclass
from typing import cast

HANDSHAKE = (
    "GET /graphql HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
)
TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
SHORT, MEDIUM = 126, 127
# Connections that are opened at a time.
AT_ONCE = 50
TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Arrival:
    """When the first and the last subscriber received a message, by `time.perf_counter`."""

    first: float
    last: float


class Subscribers:
    """The subscribers of a subscription. `failures`: unexpected messages, lost connections."""

    def __init__(self, address: tuple[str, int], token: str, query: str) -> None:
        self._address = address
        self.handshake = HANDSHAKE.format(host=address[0]).encode()
        self.init = frame(
            TEXT, {"type": "connection_init", "payload": {"Authorization": f"Bearer {token}"}}
        )
        # The pong is sent after `subscribe` is processed.
        self.subscribe = frame(
            TEXT, {"id": "1", "type": "subscribe", "payload": {"query": query}}
        ) + frame(TEXT, {"type": "ping"})
        self._subscribers: list[_Subscriber] = []
        self._arrival: asyncio.Future[Arrival] | None = None
        self._first = 0.0
        self._arrived = 0
        self.failures: list[str] = []

    async def add(self, count: int) -> None:
        """Add `count` subscribers; return when the server has processed their subscriptions."""
        loop = asyncio.get_running_loop()
        for start in range(0, count, AT_ONCE):
            batch = [_Subscriber(self) for _ in range(min(AT_ONCE, count - start))]
            self._subscribers += batch
            await asyncio.gather(
                *(loop.create_connection(lambda s=s: s, *self._address) for s in batch)  # type: ignore[misc]
            )
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await asyncio.gather(*(each.subscribed for each in batch))

    def next(self) -> "asyncio.Future[Arrival]":
        """The arrival of the next message at all subscribers."""
        self._arrived = 0
        self._arrival = asyncio.get_running_loop().create_future()
        return self._arrival

    def count_message(self) -> None:
        if not self._arrived:
            self._first = time.perf_counter()
        self._arrived += 1
        if self._arrived == len(self._subscribers) and self._arrival:
            self._arrival.set_result(Arrival(self._first, time.perf_counter()))

    def close(self) -> None:
        for subscriber in self._subscribers:
            subscriber.close()


class _Subscriber(asyncio.Protocol):
    def __init__(self, group: Subscribers) -> None:
        self._group = group
        self._buffer = b""
        self._open = False
        self._closed = False
        self.subscribed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not subclasses of asyncio.Transport.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._group.handshake)

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        if not self._open:
            head, found, data = data.partition(b"\r\n\r\n")
            if not found:
                self._buffer = head
                return
            assert head.startswith(b"HTTP/1.1 101"), head
            self._open = True
            self._transport.write(self._group.init)
        while (length := _frame_length(data)) is not None:
            self._receive(data[0] & 0x0F, data[:length])
            data = data[length:]
        self._buffer = data

    def _receive(self, kind: int, message: bytes) -> None:
        if kind == PING:
            self._transport.write(bytes([0x80 | PONG, 0x80, 0, 0, 0, 0]))
        elif kind == CLOSE:
            self._group.failures.append(repr(message))
        elif b'"next"' in message:
            self._group.count_message()
        elif b'"pong"' in message:
            self.subscribed.set_result(None)
        elif b'"connection_ack"' in message:
            self._transport.write(self._group.subscribe)
        elif b'"ping"' not in message:
            self._group.failures.append(repr(message))

    def connection_lost(self, error: Exception | None) -> None:
        if not self._closed:
            self._group.failures.append(f"closed by the server: {error}")
        if not self.subscribed.done():
            self.subscribed.set_exception(ConnectionError(str(self._group.failures[-3:])))

    def close(self) -> None:
        self._closed = True
        self._transport.abort()


def frame(kind: int, message: object) -> bytes:
    """A client's frame (RFC 6455, section 5.2), with a mask of zeros."""
    body = json.dumps(message).encode()
    length = len(body)
    if length < SHORT:
        head = bytes([0x80 | kind, 0x80 | length])
    else:
        head = bytes([0x80 | kind, 0x80 | SHORT]) + length.to_bytes(2, "big")
    return head + bytes(4) + body


def _frame_length(data: bytes) -> int | None:
    """Length of the first frame in bytes; None if it is incomplete."""
    if len(data) < 2:
        return None
    length, head = data[1] & 0x7F, 2
    if length == SHORT:
        length, head = int.from_bytes(data[2:4], "big"), 4
    elif length == MEDIUM:
        length, head = int.from_bytes(data[2:10], "big"), 10
    return head + length if len(data) >= head + length else None
