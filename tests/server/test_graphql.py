"""What the endpoint answers to whom, before any resolver runs and after one has failed."""

import logging
from typing import Any

import httpx
import pytest

from resolvers import devices
from tests.client import Api

JSON = {"Content-Type": "application/json"}


async def post(api: Api, content: bytes, **headers: str) -> httpx.Response:
    return await api.http.post("/graphql", content=content, headers={**JSON, **headers})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"1",
        b'"x"',
        b"[]",
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"query": 1}',
        b'{"query": "{me{id}}", "variables": []}',
        b'{"query": "{me{id}}", "operationName": 1}',
    ],
)
async def test_a_body_that_is_no_request(api: Api, body: bytes) -> None:
    response = await post(api, body)
    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


async def test_other_ways_not_to_ask(api: Api) -> None:
    assert (await post(api, b"{}", **{"Content-Type": "text/plain"})).status_code == 415
    assert (await post(api, b" " * 1_000_001)).status_code == 413
    assert (await post(api, b"{}", Authorization="Basic eDp5")).status_code in (400, 401)
    assert (await api.http.delete("/graphql")).status_code == 405


async def test_queries_may_come_by_get_and_mutations_may_not(api: Api) -> None:
    headers = {"Authorization": f"Bearer {api.admin}"}
    query = {"query": "query ($n: Int) { devices(first: $n) { totalCount } }"}
    values = {**query, "variables": '{"n": 5}'}
    response = await api.http.get("/graphql", params=values, headers=headers)
    assert response.json()["data"] == {"devices": {"totalCount": 0}}
    change = {"query": 'mutation { deleteDevice(input: {id: "x"}) { id } }'}
    response = await api.http.get("/graphql", params=change, headers=headers)
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"


async def test_a_mistake_in_the_document_is_explained(api: Api) -> None:
    response = await api.post("{ devises { totalCount } }", api.admin)
    assert "Cannot query field 'devises'" in response.json()["errors"][0]["message"]


async def test_a_bug_is_logged_and_not_shown(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: Any) -> None:
        raise ZeroDivisionError("a secret detail")

    monkeypatch.setattr(devices, "me", fail)
    with caplog.at_level(logging.ERROR):
        response = await api.post("{ me { id } }", api.admin)
    [error] = response.json()["errors"]
    assert error["extensions"]["code"] == "INTERNAL"
    assert "secret" not in response.text
    assert error["extensions"]["id"] in caplog.text
    assert "a secret detail" in caplog.text
