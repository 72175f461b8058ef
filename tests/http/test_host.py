"""Requests without a valid Host header are refused before the application sees them.

RFC 9112, section 3.2.
"""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from server.settings import Settings
from tests.events.live.serving import Instance, instance
from tests.http.test_connections import BODY, connected, read_response

FRAMING = b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(BODY)
HANDSHAKE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)
ROUTES = {
    "fast path": (b"POST /graphql", FRAMING, BODY),
    "graphql": (b"POST /graphql", b"Accept: application/json, */*\r\n" + FRAMING, BODY),
    "rest": (b"GET /devices", b"", b""),
    "broker": (b"POST /mqtt/auth", FRAMING, BODY),
    "health": (b"GET /healthz", b"", b""),
    "websocket": (b"GET /graphql", HANDSHAKE, b""),
}
VALID = [
    b"Host: x\r\n",
    b"Host: example.com:8000\r\n",
    b"Host: 127.0.0.1:8000\r\n",
    b"Host: [::1]:8000\r\n",
    b"host:rollcall_1.local.\r\n",
]
INVALID = [
    b"",
    b"Host:\r\n",
    b"Host: :8000\r\n",
    b"Host: x\r\nHost: x\r\n",
    b"Host: x\r\nhost: y\r\n",
    b"Host: a b\r\n",
    b"Host: a/b\r\n",
    b"Host: user@example.com\r\n",
    b"Host: x:y\r\n",
    b"Host: \xff\r\n",
]


@pytest_asyncio.fixture
async def one(settings: Settings) -> AsyncIterator[Instance]:
    async with instance(settings) as one:
        yield one


async def status_of(one: Instance, sent: bytes) -> int:
    async with connected(one) as (reader, writer):
        writer.write(sent)
        return int((await reader.readuntil(b"\r\n\r\n")).split()[1])


def request(route: str, host: bytes, version: bytes = b"1.1") -> bytes:
    line, headers, body = ROUTES[route]
    return b"%b HTTP/%b\r\n%b%b\r\n%b" % (line, version, host, headers, body)


@pytest.mark.parametrize("route", ROUTES)
async def test_invalid_host_is_refused(
    one: Instance, caplog: pytest.LogCaptureFixture, route: str
) -> None:
    caplog.set_level(logging.DEBUG, "rollcall.requests")
    for host in INVALID:
        assert await status_of(one, request(route, host)) == 400, host
    assert not caplog.records or {each.name for each in caplog.records} == {"uvicorn.error"}


@pytest.mark.parametrize("route", ROUTES)
async def test_valid_host_is_accepted(one: Instance, route: str) -> None:
    expected = {"fast path": 200, "graphql": 200, "health": 200, "websocket": 101}
    for host in VALID:
        assert await status_of(one, request(route, host)) == expected.get(route, 401), host


@pytest.mark.parametrize("route", ["fast path", "health"])
async def test_http_1_0_needs_no_host_but_allows_one_only(one: Instance, route: str) -> None:
    assert await status_of(one, request(route, b"", b"1.0")) == 200
    assert await status_of(one, request(route, b"Host: x\r\nHost: y\r\n", b"1.0")) == 400


async def test_refused_request_behind_another_does_not_take_its_response(one: Instance) -> None:
    """The earlier request still waits for its body, which is part of the same pipeline."""
    slow = b"POST /register HTTP/1.1\r\nHost: x\r\n" + FRAMING + b"\r\n" + BODY
    async with connected(one) as (reader, writer):
        writer.write(slow + b"GET /healthz HTTP/1.1\r\n\r\n" + b"x" * 1_000)
        head, _ = await read_response(reader)
        assert head.startswith(b"HTTP/1.1 4")
        assert not head.startswith(b"HTTP/1.1 400 ")
        async with asyncio.timeout(3):
            assert await reader.read() == b""
