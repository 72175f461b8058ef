"""The fast path of `/graphql` responds as the ASGI application does."""

from typing import Any

import httpx
import pytest

from server.graphql import endpoint
from server.settings import Settings
from tests.conftest import ADMIN, changed
from tests.events.live.serving import instance
from tests.observability.collector import collecting

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
