"""Many WebSockets of graphql-transport-ws in one event loop, with as little around as can be."""

import asyncio
import json
import time
from dataclasses import dataclass
from typing import cast

HELLO = (
    "GET /graphql HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
)
TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
SHORT, MEDIUM = 126, 127
AT_ONCE = 50
SECONDS = 30


@dataclass(frozen=True)
class Arrival:
    """When the first and the last of a crowd had a message, by `time.perf_counter`."""

    first: float
    last: float


class Crowd:
    """Followers of one subscription."""

    def __init__(self, address: tuple[str, int], token: str, query: str) -> None:
        self._address = address
        self.hello = HELLO.format(host=address[0]).encode()
        self.init = frame(
            TEXT, {"type": "connection_init", "payload": {"Authorization": f"Bearer {token}"}}
        )
        # What comes after `subscribe` is answered after it.
        self.subscribe = frame(
            TEXT, {"id": "1", "type": "subscribe", "payload": {"query": query}}
        ) + frame(TEXT, {"type": "ping"})
        self._followers: list[_Follower] = []
        self._arrival: asyncio.Future[Arrival] | None = None
        self._first = 0.0
        self._arrived = 0
        self.broken: list[str] = []

    async def grow(self, count: int) -> None:
        """Until so many more have asked for it, and the server has read that."""
        loop = asyncio.get_running_loop()
        for start in range(0, count, AT_ONCE):
            some = [_Follower(self) for _ in range(min(AT_ONCE, count - start))]
            self._followers += some
            await asyncio.gather(
                *(loop.create_connection(lambda f=f: f, *self._address) for f in some)  # type: ignore[misc]
            )
            async with asyncio.timeout(SECONDS):
                await asyncio.gather(*(follower.asked for follower in some))

    def next(self) -> "asyncio.Future[Arrival]":
        """Of one message, for each."""
        self._arrived = 0
        self._arrival = asyncio.get_running_loop().create_future()
        return self._arrival

    def arrived(self) -> None:
        if not self._arrived:
            self._first = time.perf_counter()
        self._arrived += 1
        if self._arrived == len(self._followers) and self._arrival:
            self._arrival.set_result(Arrival(self._first, time.perf_counter()))

    def close(self) -> None:
        for follower in self._followers:
            follower.close()


class _Follower(asyncio.Protocol):
    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._kept = b""
        self._open = False
        self._closed = False
        self.asked: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are no subclasses.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._crowd.hello)

    def data_received(self, data: bytes) -> None:
        data = self._kept + data if self._kept else data
        if not self._open:
            head, found, data = data.partition(b"\r\n\r\n")
            if not found:
                self._kept = head
                return
            assert head.startswith(b"HTTP/1.1 101"), head
            self._open = True
            self._transport.write(self._crowd.init)
        while (length := _whole(data)) is not None:
            self._take(data[0] & 0x0F, data[:length])
            data = data[length:]
        self._kept = data

    def _take(self, kind: int, message: bytes) -> None:
        if kind == PING:
            self._transport.write(bytes([0x80 | PONG, 0x80, 0, 0, 0, 0]))
        elif kind == CLOSE:
            self._crowd.broken.append(repr(message))
        elif b'"next"' in message:
            self._crowd.arrived()
        elif b'"pong"' in message:
            self.asked.set_result(None)
        elif b'"connection_ack"' in message:
            self._transport.write(self._crowd.subscribe)
        elif b'"ping"' not in message:
            self._crowd.broken.append(repr(message))

    def connection_lost(self, error: Exception | None) -> None:
        if not self._closed:
            self._crowd.broken.append(f"closed by the server: {error}")
        if not self.asked.done():
            self.asked.set_exception(ConnectionError(str(self._crowd.broken[-3:])))

    def close(self) -> None:
        self._closed = True
        self._transport.abort()


def frame(kind: int, message: object) -> bytes:
    """Of a client (RFC 6455, section 5.2), with a mask of zeros."""
    body = json.dumps(message).encode()
    length = len(body)
    if length < SHORT:
        head = bytes([0x80 | kind, 0x80 | length])
    else:
        head = bytes([0x80 | kind, 0x80 | SHORT]) + length.to_bytes(2, "big")
    return head + bytes(4) + body


def _whole(data: bytes) -> int | None:
    """How long the first frame is; None where it is not all there."""
    if len(data) < 2:
        return None
    length, head = data[1] & 0x7F, 2
    if length == SHORT:
        length, head = int.from_bytes(data[2:4], "big"), 4
    elif length == MEDIUM:
        length, head = int.from_bytes(data[2:10], "big"), 10
    return head + length if len(data) >= head + length else None
