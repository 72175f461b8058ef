"""The GraphQL endpoint: request checks, authorization, counts and error reports."""

import json
import logging
from typing import Any

import httpx
import pytest

from resolvers.devices import queries as device_queries
from schema.engine import documents
from server.settings import Settings
from tests.conftest import changed, served
from tests.support.client import BENCH, REGISTER, Api

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
        b'{"query": "{me{id}}", "extensions": []}',
        b'{"query": "{me{id}}", "variables": {"x": NaN}}',
        b'[{"query": "{me{id}}"}]',
    ],
)
async def test_invalid_body_is_bad_request(api: Api, body: bytes) -> None:
    response = await post(api, body)
    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


async def test_wrong_content_type_size_auth_scheme_or_method_is_rejected(api: Api) -> None:
    assert (await post(api, b"{}", **{"Content-Type": "text/plain"})).status_code == 415
    assert (await post(api, b" " * 1_000_001)).status_code == 413
    assert (await post(api, b"{}", Authorization="Basic eDp5")).status_code in (400, 401)
    assert (await api.http.delete("/graphql")).status_code == 405


async def test_get_allows_queries_but_not_mutations(api: Api) -> None:
    headers = {"Authorization": f"Bearer {api.admin}"}
    query = {"query": "query ($n: Int) { devices(first: $n) { totalCount } }"}
    values = {**query, "variables": '{"n": 5}'}
    response = await api.http.get("/graphql", params=values, headers=headers)
    assert response.json()["data"] == {"devices": {"totalCount": 0}}
    change = {"query": 'mutation { deleteDevice(input: {id: "x"}) { id } }'}
    response = await api.http.get("/graphql", params=change, headers=headers)
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"


GRAPHQL = "application/graphql-response+json"


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("text/html, application/xhtml+xml, */*;q=0.8", "application/json"),
        (GRAPHQL, GRAPHQL),
        (f"{GRAPHQL}, application/json;q=0.9", GRAPHQL),
        (f"application/json, {GRAPHQL}", "application/json"),
        (f"application/json;q=0.5, {GRAPHQL};q=0.7", GRAPHQL),
        (f"{GRAPHQL};q=nonsense, application/json", "application/json"),
        ("application/*", "application/json"),
    ],
)
async def test_response_media_type_follows_accept_header(
    api: Api, accept: str | None, media_type: str
) -> None:
    headers = {"Accept": accept} if accept else {}
    response = await post(api, b'{"query": "{__typename}"}', **headers)
    assert response.headers["content-type"] == f"{media_type}; charset=utf-8"
    assert response.json() == {"data": {"__typename": "Query"}}


async def test_unsupported_accept_header_is_406(api: Api) -> None:
    assert (await post(api, b"{}", Accept="text/html")).status_code == 406
    assert (await post(api, b"{}", Accept="application/json;q=0")).status_code == 406


async def test_bad_document_is_400_only_for_graphql_response_json(api: Api) -> None:
    for query in ("{", "{ nothing }", "query ($x: Int!) { devices(first: $x) { totalCount } }"):
        body = json.dumps({"query": query}).encode()
        for accept, status in ((GRAPHQL, 400), ("application/json", 200)):
            response = await post(api, body, Accept=accept)
            assert response.status_code == status, query
            assert "data" not in response.json()


async def test_several_operations_require_operation_name(api: Api) -> None:
    query = "query a { latestCursor } query b { __typename }"
    assert await api.code(query, api.admin) == "BAD_DOCUMENT"
    for name, status in (("b", 200), ("c", 400)):
        body = json.dumps({"query": query, "operationName": name}).encode()
        response = await post(api, body, Accept=GRAPHQL)
        assert response.status_code == status
    assert await api.code("fragment f on Query { latestCursor }", api.admin) == "BAD_DOCUMENT"


async def test_subscription_by_plain_post_is_406_and_names_event_stream(api: Api) -> None:
    response = await api.post("subscription { configChanged { cursor } }", api.admin)
    assert response.status_code == 406
    assert "text/event-stream" in response.json()["errors"][0]["message"]


async def test_head_request_executes_no_mutation(api: Api) -> None:
    device = (await api.register(api.admin))["device"]["id"]
    values = f'{{deviceId: "{device}", qos: 2}}'
    change = f"mutation {{ updateConfig(input: {values}) {{ config {{ qos }} }} }}"
    body = json.dumps({"query": change}).encode()
    headers = {**JSON, "Authorization": f"Bearer {api.admin}"}
    for options in ({"content": body}, {"params": {"query": change}}):
        await api.http.request("HEAD", "/graphql", headers=headers, **options)
    found = await api.ask("query ($id: ID!) { config(deviceId: $id) { qos } }", id=device)
    assert found["config"] == {"qos": 1}


async def test_cross_site_get_requires_preflight(api: Api) -> None:
    query = {"query": "{ __typename }"}
    for headers, status in (
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 400),
        ({"Sec-Fetch-Site": "same-site"}, 400),
        ({"Origin": "https://evil.example"}, 400),
        ({"Origin": "https://evil.example", "GraphQL-Require-Preflight": "1"}, 200),
    ):
        response = await api.http.get("/graphql", params=query, headers=headers)
        assert response.status_code == status, headers


async def test_cors_headers_only_for_configured_origins(settings: Settings) -> None:
    preflight = {"Origin": "https://console.example.com", "Access-Control-Request-Method": "POST"}
    allowed = "access-control-allow-origin"
    async with served(settings) as api:
        assert allowed not in (await api.http.options("/graphql", headers=preflight)).headers
    async with served(changed(settings, cors_origins=preflight["Origin"])) as api:
        response = await api.http.options("/graphql", headers=preflight)
        assert response.headers[allowed] == preflight["Origin"]
        other = {**preflight, "Origin": "https://evil.example"}
        assert allowed not in (await api.http.options("/graphql", headers=other)).headers


INTROSPECTIONS = [
    "{ __schema { queryType { name } } }",
    '{ __type(name: "Device") { name } }',
    "{ ...f } fragment f on Query { a: __schema { queryType { name } } }",
]


@pytest.mark.parametrize("query", INTROSPECTIONS)
async def test_introspection_in_production_requires_admin_or_viewer(
    settings: Settings, query: str
) -> None:
    async with served(changed(settings, env="production")) as api:
        viewer = await api.key(kind="VIEWER", owner="Acme")
        key = await api.key()
        device_token = (await api.register(key))["token"]
        for token in (api.admin, viewer):
            assert await api.code(query, token) is None
        for token in (key, device_token):
            assert await api.code(query, token) == "INTROSPECTION_DISABLED"
            assert await api.code("{ __typename }", token) is None
        headers = {"Authorization": f"Bearer {key}"}
        response = await api.http.post("/graphql", json={"query": query}, headers=headers)
        assert response.status_code == 403
    async with served(settings) as api:
        assert await api.code(query, None) is None


@pytest.mark.parametrize(
    "query", [*INTROSPECTIONS, "{ __typename }", "{ nothing }", "{", "{ a" * 99]
)
async def test_anonymous_documents_in_production_are_not_parsed(
    settings: Settings, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = []
    async with served(changed(settings, env="production")) as api:
        monkeypatch.setattr(documents, "parse", lambda text, **_: parsed.append(text))
        assert await api.code(query, None) == "UNAUTHENTICATED"
        boot = await api.http.post("/graphql", json={"documentId": "b"})
        assert "UNAUTHENTICATED" in boot.text
    assert parsed == []


async def test_anonymous_documents_in_production_with_open_enrolment(settings: Settings) -> None:
    async with served(changed(settings, env="production", enrolment="open")) as api:
        assert await api.code("{ __typename }", None) is None
        assert await api.code(INTROSPECTIONS[0], None) == "INTROSPECTION_DISABLED"


async def test_metrics_in_production_require_authorization(settings: Settings) -> None:
    async with served(settings) as api:
        assert (await api.http.get("/metrics")).status_code == 200
    async with served(changed(settings, env="production")) as api:
        assert (await api.http.get("/metrics")).status_code == 401
        key = await api.key()
        for token, status in ((key, 401), ("x", 401), (api.admin, 200)):
            headers = {"Authorization": f"Bearer {token}"}
            assert (await api.http.get("/metrics", headers=headers)).status_code == status


async def test_requests_are_counted_by_operation_and_outcome(api: Api) -> None:
    await api.ask("{ devices { totalCount } }")
    await api.post("{ nothing }", api.admin)
    await api.post("{ devices { totalCount } }", await api.key())
    await api.change("deleteDevice", id="x")
    lines = (await api.http.get("/metrics")).text.splitlines()
    for operation, outcome in (
        ("query devices", "ok"),
        ("none", "refused"),
        ("query devices", "FORBIDDEN"),
        ("mutation deleteDevice", "refused"),
    ):
        name = f'rollcall_graphql_requests_total{{operation="{operation}",outcome="{outcome}"}}'
        assert f"{name} 1.0" in lines


async def test_invalid_unicode_causes_no_internal_error(api: Api) -> None:
    """A lone surrogate is valid JSON, but not valid Unicode."""
    half = "\ud800"
    by_id = "query ($x: ID!) { device(id: $x) { id } }"
    by_name = "query ($f: DeviceFilter) { devices(filter: $f) { totalCount } }"
    requests: list[dict[str, Any]] = [
        {"query": f'{{ device(id: "{half}") {{ id }} }}'},
        {"query": '{ device(id: "\\ud800") { id } }'},
        {"query": by_id, "variables": {"x": half}},
        {"query": by_id, "variables": {half: ""}},
        {"query": "{ __typename }", "operationName": half},
        *(
            {"query": by_name, "variables": {"f": {name: text}}}
            for name in ("search", "owner", "sensorModel")
            for text in (half, "\0")
        ),
        {"query": REGISTER, "variables": {"input": {**BENCH, "owner": half}}},
        {"query": REGISTER, "variables": {"input": {**BENCH, "firmware": "\0"}}},
    ]
    headers = {"Authorization": f"Bearer {api.admin}"}
    for request in requests:
        response = await post(api, json.dumps(request).encode(), **headers)
        assert response.status_code in (200, 400), request
        for error in response.json().get("errors", []):
            assert error["extensions"]["code"] != "INTERNAL", request


async def test_validation_error_names_unknown_field(api: Api) -> None:
    response = await api.post("{ devises { totalCount } }", api.admin)
    assert "Cannot query field 'devises'" in response.json()["errors"][0]["message"]


async def test_internal_error_is_logged_and_hidden_from_client(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: Any) -> None:
        raise ZeroDivisionError("a secret detail")

    monkeypatch.setattr(device_queries, "me", fail)
    with caplog.at_level(logging.ERROR):
        response = await api.post("{ me { id } }", api.admin)
    [error] = response.json()["errors"]
    assert error["extensions"]["code"] == "INTERNAL"
    assert "secret" not in response.text
    assert error["extensions"]["id"] in caplog.text
    assert "a secret detail" in caplog.text
