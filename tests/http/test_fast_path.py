"""The fast path of `/graphql` responds as the ASGI application does."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from server.graphql import endpoint
from server.settings import Settings
from server.transport import fast_path, http_protocol
from tests.conftest import ADMIN, changed
from tests.events.live.serving import Instance, instance
from tests.observability.collector import collecting
from tests.support.waiting import WAIT_SECONDS

BODIES = [
    b'{"query": "{ fleet { total } }"}',
    b'{"query": "{ fleet { total } }", "variables": {}, "extensions": {}, "more": 1}',
    b'{"query": "query a { fleet { total } } query b { me { id } }", "operationName": "a"}',
    b'{"query": "mutation { deleteDevice(input: {id: \\"x\\"}) { errors { code } } }"}',
    b'{"query": "subscription { configChanged { cursor } }"}',
    b'{"query": "{ nothing }"}',
    b'{"query": 5}',
    b'{"query": "{ fleet { total } }", "variables": []}',
    b'{"documentId": "devices"}',
    b"[]",
    b"null",
    b'"x"',
    b"{",
    b"\xff",
    b"",
    b'{"query": "{ config(deviceId: \\"\\ud800\\") { version } }"}',
    b'{"query": "query ($a: Int) { devices(first: $a) { totalCount } }", "variables": {"a": NaN}}',
    b'{"query": "query ($a: Int) { devices(first: $a) { totalCount } }", "variables": {"a": 1.5}}',
    b'{"query": "' + b" " * 100_000 + b'"}',
]
ACCEPTS = [None, "*/*", "application/json", "application/graphql-response+json", "text/html"]


async def responses(
    settings: Settings, headers: dict[str, str], *, fast: bool
) -> list[tuple[int, Any, Any]]:
    results = []
    async with instance(settings) as one, httpx.AsyncClient() as client:
        if not fast:
            one.app.fast_path = None
        for body in BODIES:
            for accept in ACCEPTS:
                sent = {**headers, "Accept": accept} if accept else headers
                answer = await client.post(one.url, content=body, headers=sent)
                found = {**answer.headers}
                assert found.pop("x-request-id")
                del found["date"]
                results.append((answer.status_code, sorted(found.items()), answer.json()))
    return results


@pytest.mark.parametrize("token", [ADMIN, "wrong", None])
async def test_fast_path_and_asgi_give_equal_responses(
    settings: Settings, token: str | None
) -> None:
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    fast = await responses(settings, headers, fast=True)
    assert fast == await responses(settings, headers, fast=False)


ORIGIN = "https://example.com"


@pytest.mark.parametrize("origin", [None, ORIGIN, "https://other.example", "null", "\xff"])
async def test_fast_path_and_asgi_give_equal_cors_headers(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, origin: str | None
) -> None:
    monkeypatch.setattr("tests.http.test_fast_path.BODIES", BODIES[::4])
    settings = changed(settings, cors_origins=(ORIGIN, "https://second.example"))
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {ADMIN}"}
    sent: Any = {**headers, **({"Origin": origin.encode("latin-1")} if origin else {})}
    fast = await responses(settings, sent, fast=True)
    assert fast == await responses(settings, sent, fast=False)
    allowed = [dict(found).get("access-control-allow-origin") for _, found, _ in fast]
    assert set(allowed) == {origin if origin == ORIGIN else None}


async def test_fast_path_serves_requests_with_cors_and_tracing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> None:
        raise ZeroDivisionError

    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setattr(endpoint.GraphQLEndpoint, "__call__", broken)
        async with instance(changed(settings, cors_origins=(ORIGIN,))) as one:
            headers = {"Authorization": f"Bearer {ADMIN}", "Origin": ORIGIN}
            async with httpx.AsyncClient() as client:
                answer = await client.post(
                    one.url, json={"query": "{ fleet { total } }"}, headers=headers
                )
    assert answer.json() == {"data": {"fleet": {"total": 0}}}
    assert collector.named("POST /graphql")


DEVICE_REQUESTS = [
    {"documentId": "b"},
    {"query": "{ me { id topics { data listen } config { version } } }"},
    {"query": "{ __typename you: me { __typename state inSync lastSeenAt: id } me { online } }"},
    {"query": "{ me { configHistory { version } appliedConfig { version } } }"},
    {"query": "{ me { id } fleet { total } }"},
    {"query": '{ me { id } topics(deviceId: "x") { data } }'},
    {"query": "query ($a: Boolean!) { me { id qos: state @skip(if: $a) } }", "variables": {"a": 1}},
    {
        "query": "query ($a: Boolean!) { me { id state @skip(if: $a) } }",
        "variables": {"a": True},
    },
    {"query": "mutation { acknowledgeConfig(input: {version: 9}) { errors { code field } } }"},
    {"query": "{ me { nothing } }"},
    {"query": "subscription { configChanged { cursor } }"},
]


async def test_device_requests_before_and_after_token_replacement(settings: Settings) -> None:
    """Covers the first use of the token, later uses, and a use after its replacement."""
    results = []
    for fast in (True, False):
        async with instance(settings) as one, httpx.AsyncClient() as client:
            if not fast:
                one.app.fast_path = None
            token = (await one.api.register(ADMIN))["token"]
            headers = {"Authorization": f"Bearer {token}"}
            found = []
            for body in DEVICE_REQUESTS * 3:
                answer = await client.post(one.url, json=body, headers=headers)
                found.append((answer.status_code, answer.content))
            newer = (await one.api.register(ADMIN))["token"]
            await one.api.ask("{ me { id } }", newer)
            answer = await client.post(one.url, json={"documentId": "b"}, headers=headers)
            found.append((answer.status_code, answer.content))
            results.append(found)
    assert results[0] == results[1]
    assert results[0][-1][0] == 401


async def test_repeated_device_requests_skip_the_asgi_endpoint(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "rollcall.requests")
    async with instance(settings) as one, httpx.AsyncClient() as client:
        token = (await one.api.register(ADMIN))["token"]
        headers = {"Authorization": f"Bearer {token}"}

        async def data_of(query: str) -> Any:
            answer = await client.post(one.url, json={"query": query}, headers=headers)
            return answer.json()["data"]

        query = "{ me { id config { version } } }"
        for _ in range(3):
            first = await data_of(query)
        await client.post(one.url, json={"documentId": "b"}, headers=headers)

        async def broken(*_: Any) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(endpoint.GraphQLEndpoint, "respond", broken)
        caplog.clear()
        assert await data_of(query) == first
        boot = await client.post(one.url, json={"documentId": "b"}, headers=headers)
        counts = (await client.get(one.url.replace("graphql", "metrics"))).text
    assert boot.json()["data"]["me"]["c"]["v"] == 1
    fields = [record.fields for record in caplog.records if hasattr(record, "fields")]
    assert [(f["operation"], f["outcome"], f["status"]) for f in fields[:2]] == [
        ("query me", "ok", 200)
    ] * 2
    assert fields[0]["actor"] == f"device:{first['me']['id']}"
    assert 'rollcall_graphql_requests_total{operation="query me",outcome="ok"} 6.0' in counts


async def test_request_id_is_returned_also_with_internal_error(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {"Authorization": f"Bearer {ADMIN}", "X-Request-Id": "mine"}
    body = {"query": "{ fleet { total } }"}
    async with instance(settings) as one, httpx.AsyncClient() as client:
        answer = await client.post(one.url, json=body, headers=headers)
        assert answer.headers["x-request-id"] == "mine"

        async def broken(*_: Any) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(endpoint.GraphQLEndpoint, "respond", broken)
        answer = await client.post(one.url, json=body, headers=headers)
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] == "mine"
    assert answer.json()["errors"][0]["extensions"] == {"code": "INTERNAL", "id": "mine"}


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


@pytest.mark.parametrize("sent", [b"", b'{"query": "{ fl'])
async def test_missing_body_times_out_with_408(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(endpoint, "BODY_SECONDS", 0.5)
    monkeypatch.setattr(http_protocol, "BODY_SECONDS", 0.5)
    async with instance(settings) as one:
        url = httpx.URL(one.url)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        head = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        writer.write(head + b"Content-Length: 50\r\n\r\n" + sent)
        async with asyncio.timeout(WAIT_SECONDS):
            answer = await reader.readuntil(b"\r\n\r\n")
        writer.close()
    assert answer.startswith(b"HTTP/1.1 408 ")
