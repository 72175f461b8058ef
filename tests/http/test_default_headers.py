"""Headers that every response has, whichever part of the server wrote it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from server.graphql.endpoint import GraphQLEndpoint
from server.settings import Settings
from tests.conftest import ADMIN
from tests.events.live.serving import Instance, instance
from tests.http.test_connections import connected, read_response

KEY = b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
PERSISTED = b'{"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "%b"}}}' % (b"0" * 64)
NO_STORE = b"no-store"


def request(line: bytes, body: bytes = b"", headers: bytes = b"") -> bytes:
    length = b"Content-Length: %d\r\n" % len(body) if body else b""
    token = b"Authorization: Bearer %b\r\n" % ADMIN.encode()
    fields = b"Content-Type: application/json\r\n" + token + length + headers
    return b"%b HTTP/1.1\r\nHost: x\r\n%b\r\n%b" % (line, fields, body)


def graphql(body: bytes, headers: bytes = b"") -> bytes:
    return request(b"POST /graphql", body, headers)


# Each with its status and Cache-Control.
REQUESTS = {
    "fast path": (graphql(b'{"query": "{ fleet { total } }"}'), 200, NO_STORE),
    "fast path, error": (graphql(b'{"query": 5}'), 400, NO_STORE),
    "fast path, persisted": (
        graphql(PERSISTED),
        200,
        b"private, no-cache, must-revalidate",
    ),
    "graphql": (request(b"GET /graphql?query={fleet{total}}"), 200, NO_STORE),
    "graphql, method": (request(b"PUT /graphql"), 405, NO_STORE),
    "graphql, size": (graphql(b" " * 300_000), 413, NO_STORE),
    "rest": (request(b"GET /devices"), 200, NO_STORE),
    "rest, error": (request(b"GET /devices/x"), 404, NO_STORE),
    "broker": (request(b"POST /mqtt/auth", b"{}"), 200, NO_STORE),
    "broker, method": (request(b"GET /mqtt/auth"), 405, NO_STORE),
    "unknown": (request(b"GET /unknown"), 404, NO_STORE),
    "metrics": (request(b"GET /metrics"), 200, NO_STORE),
    "rest, token": (request(b"GET /devices").replace(b"Bearer ", b"Bearer x"), 401, NO_STORE),
    "healthz": (request(b"GET /healthz"), 200, NO_STORE),
    "readyz": (request(b"GET /readyz"), 200, NO_STORE),
    "openapi": (request(b"GET /openapi.json"), 200, NO_STORE),
    "page": (request(b"GET /graphiql"), 200, b"no-cache"),
    "welcome": (request(b"GET /"), 200, NO_STORE),
    "not HTTP": (b"GET /healthz\0\r\n\r\n", 400, NO_STORE),
    "no host": (b"GET /healthz HTTP/1.1\r\n\r\n", 400, NO_STORE),
    "many headers": (request(b"GET /", headers=b"A: b\r\n" * 101), 431, NO_STORE),
    "long head": (request(b"GET /", headers=b"A: %b\r\n" % (b"b" * 60_000)), 431, NO_STORE),
    "handshake": (request(b"GET /graphql", headers=UPGRADE), 400, NO_STORE),
    "handshake, method": (request(b"POST /graphql", headers=UPGRADE + KEY), 400, NO_STORE),
    "handshake, body": (request(b"GET /graphql", b"x", UPGRADE + KEY), 400, NO_STORE),
    "handshake, path": (request(b"GET /unknown", headers=UPGRADE + KEY), 403, NO_STORE),
    "handshake, origin": (
        request(b"GET /graphql", headers=UPGRADE + KEY + b"Origin: https://example.com\r\n"),
        403,
        NO_STORE,
    ),
}


@pytest_asyncio.fixture
async def one(settings: Settings) -> AsyncIterator[Instance]:
    async with instance(settings) as one:
        yield one


async def headers_of(one: Instance, sent: bytes) -> tuple[int, list[tuple[bytes, bytes]]]:
    """Return the status and the headers that this is about."""
    async with connected(one) as (reader, writer):
        writer.write(sent)
        head, _ = await read_response(reader)
    line, *lines = head.strip().split(b"\r\n")
    headers = [
        (name.lower(), value) for name, _, value in (each.partition(b": ") for each in lines)
    ]
    names = (b"cache-control", b"x-content-type-options")
    return int(line.split()[1]), sorted(each for each in headers if each[0] in names)


async def test_every_response_has_the_headers_once(one: Instance) -> None:
    found = {name: await headers_of(one, sent) for name, (sent, _, _) in REQUESTS.items()}
    assert found == {
        name: (status, [(b"cache-control", cached), (b"x-content-type-options", b"nosniff")])
        for name, (_, status, cached) in REQUESTS.items()
    }


@pytest.mark.parametrize("accept", [b"", b"Accept: application/json, */*\r\n"])
async def test_internal_errors_have_the_headers(
    one: Instance, monkeypatch: pytest.MonkeyPatch, accept: bytes
) -> None:
    """By the fast path, and by ASGI, which an unusual `Accept` needs."""

    async def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(GraphQLEndpoint, "respond", broken)
    sent = graphql(b'{"query": "{ fleet { total } }"}', accept)
    assert await headers_of(one, sent) == (
        500,
        [(b"cache-control", NO_STORE), (b"x-content-type-options", b"nosniff")],
    )
