"""Connections to `/graphql`: split, chunked and pipelined requests, addresses and timeouts."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from server.settings import Settings
from server.transport import fast_path
from tests.conftest import changed
from tests.events.live.serving import Instance, instance
from tests.support.waiting import WAIT_SECONDS

HEAD = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
BODY = b'{"query":"{ __typename }"}'


@asynccontextmanager
async def connected(one: Instance) -> AsyncIterator[tuple[StreamReader, StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            yield reader, writer
    finally:
        writer.close()


async def read_response(reader: StreamReader) -> tuple[bytes, bytes]:
    """Return the head and the body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return head, await reader.readexactly(length)


async def test_request_split_at_any_byte(settings: Settings) -> None:
    sent = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    async with instance(settings) as one:
        for cut in range(1, len(sent), 7):
            async with connected(one) as (reader, writer):
                writer.write(sent[:cut])
                await writer.drain()
                await asyncio.sleep(0.001)
                writer.write(sent[cut:])
                head, body = await read_response(reader)
            assert head.startswith(b"HTTP/1.1 200 ")
            assert body == b'{"data":{"__typename":"Query"}}'


@pytest.mark.parametrize("chunk", [5, 100_000])
async def test_chunked_request_body(settings: Settings, chunk: int) -> None:
    """Small bodies use the fast path. Large ones fall back to ASGI in the middle of the body."""
    body = b" " * (80_000 if chunk > 5 else 0) + BODY
    pieces = [body[i : i + chunk] for i in range(0, len(body), chunk)]
    async with instance(settings) as one, connected(one) as (reader, writer):
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        for piece in pieces:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        writer.write(b"0\r\n\r\n")
        assert (await read_response(reader))[1] == b'{"data":{"__typename":"Query"}}'


async def test_pipelined_requests_are_answered_in_order(settings: Settings) -> None:
    """Requests of the fast path and of ASGI are mixed."""
    fast_path = HEAD + b"X-Request-Id: %d\r\nContent-Length: %d\r\n\r\n%b"
    asgi = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Request-Id: %d\r\n\r\n"
    sent = [asgi % n if n % 3 == 2 else fast_path % (n, len(BODY), BODY) for n in range(60)]
    async with instance(settings) as one, connected(one) as (reader, writer):
        writer.write(b"".join(sent))
        for n in range(60):
            head, body = await read_response(reader)
            assert b"x-request-id: %d\r\n" % n in head
            assert (body == b"alive\n") == (n % 3 == 2)


async def test_connection_close_header_closes_after_response(settings: Settings) -> None:
    async with instance(settings) as one, connected(one) as (reader, writer):
        writer.write(HEAD + b"Connection: close\r\nContent-Length: 26\r\n\r\n" + BODY)
        head, _ = await read_response(reader)
        assert b"connection: close\r\n" in head
        assert await reader.read() == b""


async def test_idle_connections_are_closed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast_path, "IDLE_SECONDS", 0.3)
    async with instance(settings) as one, connected(one) as (reader, writer):
        writer.write(HEAD + b"Content-Length: 26\r\n\r\n" + BODY)
        await read_response(reader)
        assert await reader.read() == b""


@pytest.mark.parametrize("cors", [None, "https://example.com"], ids=["fast_path", "asgi"])
@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        ("127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", "198.51.100.7, 203.0.113.9", "203.0.113.9"),
        ("127.0.0.1,203.0.113.9", "198.51.100.7, 203.0.113.9", "198.51.100.7"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("10.0.0.1", "203.0.113.9", "127.0.0.1"),
    ],
)
async def test_client_address_behind_a_proxy(  # noqa: PLR0917  parameters
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    proxies: str,
    forwarded: str,
    address: str,
    cors: str | None,
) -> None:
    caplog.set_level("INFO", "rollcall.requests")
    headers = {"X-Forwarded-For": forwarded, "X-Request-Id": "behind", "X-Forwarded-Proto": "https"}
    changes = {"trusted_proxies": proxies, **({"cors_origins": cors} if cors else {})}
    async with instance(changed(settings, **changes)) as one, httpx.AsyncClient() as client:
        answer = await client.post(one.url, json={"query": "{ fleet { total } }"}, headers=headers)
        assert answer.status_code == 401 or answer.json()["errors"]
    logged = [record.fields for record in caplog.records if hasattr(record, "fields")]
    assert [fields["client"] for fields in logged] == [address]


async def test_clients_that_disconnect_before_the_response(settings: Settings) -> None:
    async with instance(settings) as one:
        for _ in range(50):
            async with connected(one) as (_, writer):
                writer.write(HEAD + b"Content-Length: 26\r\n\r\n" + BODY)
                await writer.drain()
                writer.transport.abort()
        async with connected(one) as (reader, writer):
            writer.write(HEAD + b"Content-Length: 26\r\n\r\n" + BODY)
            assert (await read_response(reader))[0].startswith(b"HTTP/1.1 200 ")
