"""The short way to `/graphql` answers as the long one does."""

import asyncio
from typing import Any

import httpx
import pytest

from server.graphql import endpoint, lean
from server.settings import Settings
from tests.client import Api
from tests.conftest import ADMIN, changed, served
from tests.live.serving import instance

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
    b'{"query": "' + b" " * 2_000_000 + b'"}',
]
ACCEPTS = [None, "*/*", "application/json", "application/graphql-response+json", "text/html"]


async def answers(settings: Settings, headers: dict[str, str]) -> list[tuple[int, Any, Any]]:
    told = []
    async with served(settings) as api:
        for body in BODIES:
            for accept in ACCEPTS:
                sent = {**headers, "Accept": accept} if accept else headers
                answer = await api.http.post("/graphql", content=body, headers=sent)
                told.append((answer.status_code, answer.headers["content-type"], answer.json()))
    return told


@pytest.mark.parametrize("token", [ADMIN, "wrong", None])
async def test_both_ways_give_the_same_answer(settings: Settings, token: str | None) -> None:
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    short = await answers(settings, headers)
    long = await answers(changed(settings, cors_origins="https://example.com"), headers)
    assert short == long


async def test_an_id_and_a_bug(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {"Authorization": f"Bearer {ADMIN}", "X-Request-Id": "mine"}
    body = {"query": "{ fleet { total } }"}
    answer = await api.http.post("/graphql", json=body, headers=headers)
    assert answer.headers["x-request-id"] == "mine"

    async def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(endpoint.GraphQLEndpoint, "answer", broken)
    answer = await api.http.post("/graphql", json=body, headers=headers)
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] == "mine"
    assert answer.json()["errors"][0]["extensions"] == {"code": "INTERNAL", "id": "mine"}


@pytest.mark.parametrize("sent", [b"", b'{"query": "{ fl'])
async def test_a_body_that_does_not_come(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(endpoint, "BODY_SECONDS", 0.5)
    monkeypatch.setattr(lean, "BODY_SECONDS", 0.5)
    async with instance(settings) as one:
        url = httpx.URL(one.url)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        head = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        writer.write(head + b"Content-Length: 50\r\n\r\n" + sent)
        async with asyncio.timeout(10):
            answer = await reader.readuntil(b"\r\n\r\n")
        writer.close()
    assert answer.startswith(b"HTTP/1.1 408 ")
