"""Many WebSockets of graphql-transport-ws in one event loop, with little around them."""

import asyncio
import json
import time

HELLO = (
    "GET /graphql HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
)
TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
SHORT, MEDIUM = 126, 127
AT_ONCE = 50
WAIT_SECONDS = 30


class Crowd:
    """Followers of one subscription. `arrived`: how many have had how many messages."""

    def __init__(self, host: str, port: int, token: str, query: str) -> None:
        self._address = host, port
        self.hello = HELLO.format(host=host).encode()
        self.init = frame(
            TEXT, {"type": "connection_init", "payload": {"Authorization": f"Bearer {token}"}}
        )
        self.subscribe = frame(TEXT, {"id": "1", "type": "subscribe", "payload": {"query": query}})
        self._followers: list[_Follower] = []
        self._waiting: asyncio.Future[float] | None = None
        self._wanted = 0
        self._behind = 0
        self.broken: list[str] = []

    async def grow(self, count: int) -> None:
        """Until so many more have subscribed."""
        loop = asyncio.get_running_loop()
        for start in range(0, count, AT_ONCE):
            some = [_Follower(self) for _ in range(min(AT_ONCE, count - start))]
            await asyncio.gather(
                *(loop.create_connection(lambda f=f: f, *self._address) for f in some)  # type: ignore[misc]
            )
            async with asyncio.timeout(WAIT_SECONDS):
                await asyncio.gather(*(follower.subscribed for follower in some))
            self._followers += some

    def all_have(self, count: int) -> "asyncio.Future[float]":
        """When the last has had so many messages, by `time.perf_counter`."""
        self._wanted = count
        self._behind = sum(follower.messages < count for follower in self._followers)
        self._waiting = asyncio.get_running_loop().create_future()
        return self._waiting

    def arrived(self, messages: int) -> None:
        if self._waiting and messages == self._wanted:
            self._behind -= 1
            if not self._behind:
                self._waiting.set_result(time.perf_counter())
                self._waiting = None

    def close(self) -> None:
        for follower in self._followers:
            follower.close()


class _Follower(asyncio.Protocol):
    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._kept = b""
        self._open = False
        self.messages = 0
        self.subscribed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        transport.write(self._crowd.hello)

    def data_received(self, data: bytes) -> None:
        data = self._kept + data
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
            self.messages += 1
            self._crowd.arrived(self.messages)
        elif b'"connection_ack"' in message:
            self._transport.write(self._crowd.subscribe)
            self.subscribed.set_result(None)
        elif b'"error"' in message:
            self._crowd.broken.append(repr(message))

    def close(self) -> None:
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
