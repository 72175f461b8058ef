"""Behaviour of uvicorn and websockets that `server/transport/websocket_protocol.py` relies on."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame
from websockets.http11 import Request
from websockets.protocol import State

from server.transport.websocket_protocol import WebSocketProtocol, text_frame
from tests.contracts.http.serving import echo, exchange, serving
from tests.support.waiting import until

HANDSHAKE = (
    b"GET /graphql?a=b HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: one, two\r\n\r\n"
)
CLOSE = b"\x88\x80\0\0\0\0"


def sent_by_client(text: bytes, first: int = 0x81) -> bytes:
    """Return a frame with a mask of zeros. `first`: its first byte."""
    length = len(text)
    if length < 126:
        head = bytes([first, 0x80 | length])
    elif length < 65_536:
        head = bytes([first, 0xFE]) + length.to_bytes(2)
    else:
        head = bytes([first, 0xFF]) + length.to_bytes(8)
    return head + b"\0\0\0\0" + text


MESSAGES = {
    "small": [sent_by_client(b"hello")],
    "medium": [sent_by_client(b"m" * 126), sent_by_client(b"m" * 65_535)],
    "large": [sent_by_client(b"l" * 65_536)],
    "empty": [sent_by_client(b"")],
    "in pieces": [
        sent_by_client(b"a", 0x01) + sent_by_client(b"b", 0x00) + sent_by_client(b"", 0x80)
    ],
    "no text": [sent_by_client(b"\xff")],
    "a ping": [sent_by_client(b"p", 0x89) + sent_by_client(b"after")],
    "no frame": [b"\xf3\x80\0\0\0\0"],
}


class Recorder(WebSocketsSansIOProtocol):
    """`calls`: calls of the overridden methods, each with an attribute that they read."""

    calls: list[tuple[str, Any]]

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        self.calls.append(("handle_connect", self.response.status_code))

    def handle_cont(self, event: Frame) -> None:
        super().handle_cont(event)
        self.calls.append(("handle_cont", len(self.frames)))

    def handle_ping(self) -> None:
        self.calls.append(("handle_ping", self.writable.is_set()))
        super().handle_ping()

    def keepalive_timeout(self) -> None:
        self.calls.append(("keepalive_timeout", self.pong_timer is not None))
        super().keepalive_timeout()


@pytest.fixture
def recorder() -> type[Recorder]:
    return type("FreshRecorder", (Recorder,), {"calls": []})


@pytest.mark.parametrize("kind", MESSAGES)
async def test_frames_are_equal_to_uvicorns(kind: str) -> None:
    """`WebSocketProtocol.send` writes frames of `text_frame`, without the websockets library."""
    found = []
    for protocol in (WebSocketsSansIOProtocol, WebSocketProtocol):
        async with serving(ws=protocol, ws_per_message_deflate=False) as (_, port):
            found.append(await exchange(port, HANDSHAKE, *MESSAGES[kind], CLOSE))
    assert found[0] == found[1]
    assert found[0].startswith(b"HTTP/1.1 101 ")


async def test_handle_connect_can_replace_application() -> None:
    """`handle_connect` sets `app` and the scope's `client`; both are used from then on."""
    seen: list[Any] = []

    async def other(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        await echo(scope, receive, send)

    class RecordingProtocol(WebSocketsSansIOProtocol):
        def handle_connect(self, event: Request) -> None:
            super().handle_connect(event)
            assert event.headers.get_all("Sec-WebSocket-Protocol") == ["one, two"]
            self.scope["client"] = ("192.0.2.1", 5)
            self.scope["own"] = self.transport.write  # type: ignore[literal-required]
            self.app = other

    async with serving(ws=RecordingProtocol) as (_, port):
        await exchange(port, HANDSHAKE, CLOSE)
    assert (seen[0]["client"], seen[0]["path"]) == (("192.0.2.1", 5), "/graphql")
    assert seen[0]["subprotocols"] == ["one", "two"]
    assert callable(seen[0]["own"])


async def test_direct_and_library_writes_can_be_mixed() -> None:
    """`write_text` writes to the transport. Headers are dropped after the handshake."""
    made: list[Any] = []

    class RecordingProtocol(WebSocketsSansIOProtocol):
        async def send(self, message: Any) -> None:
            await super().send(message)
            if message["type"] == "websocket.accept":
                self.request.headers.clear()
                self.response.headers.clear()
            made.append(self)

    async with (
        serving(ws=RecordingProtocol) as (_, port),
        connect(f"ws://127.0.0.1:{port}/") as client,
    ):
        await until(lambda: made)
        protocol = made[0]
        assert protocol.conn.state is State.OPEN
        assert protocol.writable.is_set()
        assert (protocol.close_sent, protocol.disconnected) == (False, False)
        for n in range(3):
            protocol.transport.write(text_frame(b"direct %d" % n))
            await client.send(f"library {n}")
            assert [await client.recv(), await client.recv()] == [f"direct {n}", f"library {n}"]
        await client.close()
        await until(lambda: protocol.disconnected)
        assert protocol.conn.state is not State.OPEN


async def test_fragments_and_pings_call_overridden_methods(recorder: type[Recorder]) -> None:
    """`handle_cont` has all fragments so far in `frames`; `handle_ping` is called per ping."""
    async with serving(ws=recorder) as (_, port):
        pieces = [sent_by_client(b"a", 0x01), *[sent_by_client(b"b", 0x00)] * 2]
        await exchange(port, HANDSHAKE, *pieces, sent_by_client(b"p", 0x89), CLOSE)
    assert recorder.calls == [
        ("handle_connect", 101),
        ("handle_cont", 2),
        ("handle_cont", 3),
        ("handle_ping", True),
    ]


async def test_invalid_handshake_is_answered_with_400(recorder: type[Recorder]) -> None:
    """`handle_connect` has no scope then, so it checks the response status first."""
    async with serving(ws=recorder) as (_, port):
        await exchange(port, HANDSHAKE.replace(b"Version: 13", b"Version: 12"))
    assert recorder.calls == [("handle_connect", 400)]


async def test_request_that_is_no_handshake_sets_its_exception_only() -> None:
    """`WebSocketProtocol` answers it: uvicorn and websockets do not."""
    found: list[tuple[bool, bool]] = []

    class Reader(WebSocketsSansIOProtocol):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            found.append((self.conn.handshake_exc is not None, self.handshake_initiated))
            self.transport.close()

    async with serving(ws=Reader) as (_, port):
        assert await exchange(port, HANDSHAKE.replace(b"GET", b"POST")) == b""
    assert found == [(True, False)]


async def test_reject_makes_the_response_to_a_refused_handshake() -> None:
    """`Handshake` adds headers to it."""
    async with serving(ws=WebSocketProtocol) as (_, port):
        refused = await exchange(port, HANDSHAKE.replace(b"Version: 13", b"Version: 12"))
    assert b"\r\nx-content-type-options: nosniff\r\ncache-control: no-store\r\n" in refused


async def test_unanswered_ping_calls_keepalive_timeout(recorder: type[Recorder]) -> None:
    """`keepalive_timeout` is called once and ends the connection."""
    async with serving(ws=recorder, ws_ping_interval=0.05, ws_ping_timeout=0.05) as (_, port):
        assert b"keepalive ping timeout" in await exchange(port, HANDSHAKE)
    assert recorder.calls == [("handle_connect", 101), ("keepalive_timeout", True)]


async def test_connection_to_client_that_does_not_read_is_not_writable() -> None:
    """`writable` is set while the peer reads."""
    made: list[Any] = []

    class RecordingProtocol(WebSocketsSansIOProtocol):
        def handle_connect(self, event: Request) -> None:
            super().handle_connect(event)
            made.append(self)

    async with serving(ws=RecordingProtocol) as (_, port):
        async with connect(f"ws://127.0.0.1:{port}/", ping_interval=None) as client:
            await until(lambda: made)
            client.transport.pause_reading()
            made[0].transport.write(text_frame(b"x" * 20_000_000))
            await asyncio.sleep(0)
            assert not made[0].writable.is_set()
            made[0].transport.abort()
            client.transport.resume_reading()
            with suppress(ConnectionClosed):
                await client.recv()
        await until(made[0].writable.is_set)
