"""HTTP status and headers of each error: GraphQL (fast path and ASGI), REST, broker requests."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

import httpx
import pytest
import pytest_asyncio

from domain.errors import (
    ErrorCode,
    Forbidden,
    InputError,
    Interrupted,
    IntrospectionDisabled,
    Overloaded,
    RateLimited,
    SlowConsumer,
    TimedOut,
    TrustedDocumentsOnly,
    Unauthenticated,
    Unavailable,
)
from resolvers.devices import queries as device_queries
from server.settings import Settings
from tests.conftest import ADMIN, changed
from tests.events.live.serving import Instance, instance

JSON, GRAPHQL = "application/json", "application/graphql-response+json"
BEARER = {"www-authenticate": "Bearer"}
SOON = {"retry-after": "2"}
NOT_CACHED = {"cache-control": "private, no-cache, must-revalidate"}
ERROR_HEADERS = ("allow", "cache-control", "retry-after", "www-authenticate")
UNKNOWN = "rca_unknown"
BODY_BYTES = 5_000


def error_headers(response: httpx.Response) -> dict[str, str]:
    """The headers that tell a client what to do about an error, except the default ones."""
    found = {name: response.headers[name] for name in ERROR_HEADERS if name in response.headers}
    if found.get("cache-control") == "no-store":
        del found["cache-control"]
    return found


def bearer(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


@pytest_asyncio.fixture
async def one(settings: Settings) -> AsyncIterator[Instance]:
    production = changed(
        settings, env="production", trusted_only="devices", max_body_bytes=BODY_BYTES
    )
    async with instance(production) as one:
        yield one


async def response_of(
    one: Instance, body: Any, token: str | None, accept: str = JSON
) -> tuple[int, dict[str, str], str]:
    """Return status, headers and code of a GraphQL error; equal by the fast path and by ASGI."""
    headers = {**bearer(token), "Accept": accept}
    async with httpx.AsyncClient() as client:
        fast = await client.post(one.url, json=body, headers=headers)
    by_asgi = await one.api.http.post("/graphql", json=body, headers=headers)
    found = [
        (
            response.status_code,
            error_headers(response),
            response.json()["errors"][0]["extensions"]["code"],
        )
        for response in (fast, by_asgi)
    ]
    assert found[0] == found[1]
    return found[0]


class Raised(NamedTuple):
    """An error of a resolver. `graphql`, `rest`: the statuses. `headers`: those of REST, and of
    GraphQL if its status is not 200.
    """

    error: Exception
    code: str
    graphql: int
    rest: int
    headers: Mapping[str, str] = {}


RAISED = [
    Raised(Unauthenticated("x"), "UNAUTHENTICATED", 200, 401, BEARER),
    Raised(Forbidden("x"), "FORBIDDEN", 200, 403),
    Raised(IntrospectionDisabled("x"), "INTROSPECTION_DISABLED", 200, 403),
    Raised(TrustedDocumentsOnly("x"), "TRUSTED_DOCUMENTS_ONLY", 200, 403),
    Raised(RateLimited("x", 7), "RATE_LIMITED", 429, 429, {"retry-after": "7"}),
    Raised(Unavailable("x"), "DATABASE_UNAVAILABLE", 503, 503, SOON),
    Raised(Interrupted("x"), "DATABASE_UNAVAILABLE", 503, 503, SOON),
    Raised(Overloaded("x"), "OVERLOADED", 503, 503, SOON),
    Raised(TimedOut("x"), "TIMED_OUT", 200, 503),
    Raised(InputError.at("id", "x"), "INVALID", 200, 422),
    Raised(InputError.at("id", "x", ErrorCode.NOT_FOUND), "NOT_FOUND", 200, 404),
    Raised(InputError.at("id", "x", ErrorCode.CONFLICT), "CONFLICT", 200, 409),
    Raised(InputError.at("id", "x", ErrorCode.NOT_ALLOWED), "NOT_ALLOWED", 200, 403),
    Raised(InputError.at("id", "x", ErrorCode.USED_UP), "USED_UP", 200, 403),
    Raised(ZeroDivisionError("x"), "INTERNAL", 200, 500),
]


async def test_resolver_error_status_and_headers(
    one: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    raising: list[Exception] = []

    async def fails(*_: Any) -> None:
        raise raising[-1]

    monkeypatch.setattr(device_queries, "device", fails)
    for error, code, graphql, rest, headers in RAISED:
        raising.append(error)
        for accept in (JSON, GRAPHQL):
            found = await response_of(one, {"query": '{ device(id: "x") { id } }'}, ADMIN, accept)
            assert found == (graphql, {} if graphql == 200 else headers, code)
        response = await one.api.http.get("/devices/x", headers=bearer(ADMIN))
        assert (response.status_code, error_headers(response)) == (rest, headers), error
        assert response.json()["errors"][0]["code"] == code


class Refused(NamedTuple):
    """A GraphQL request that is not executed. `status`: for `application/json` and for
    `application/graphql-response+json`.
    """

    code: str
    body: Any
    status: tuple[int, int]
    headers: Mapping[str, str] = {}
    token: str | None = ADMIN


def by_hash(text: str) -> Any:
    return {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": text}}}


ME = {"query": "{ me { id } }"}
KEY = "placeholder for an enrolment key"
REFUSED = [
    Refused("UNAUTHENTICATED", ME, (401, 401), BEARER, UNKNOWN),
    Refused("UNAUTHENTICATED", ME, (401, 401), BEARER, None),
    Refused("TRUSTED_DOCUMENTS_ONLY", ME, (403, 403), {}, KEY),
    Refused("BAD_DOCUMENT", {"query": "{ nothing }"}, (200, 400)),
    Refused("DOCUMENT_NOT_FOUND", {"documentId": "nothing"}, (200, 400)),
    Refused("OVER_LIMIT", {"query": "{ a" * 20 + "}" * 20}, (200, 400)),
    Refused("PERSISTED_QUERY_NOT_FOUND", by_hash("0" * 64), (200, 200), NOT_CACHED),
    Refused("PERSISTED_QUERY_NOT_SUPPORTED", by_hash("0" * 64), (200, 200), NOT_CACHED, KEY),
    Refused("BAD_REQUEST", {"query": 5}, (400, 400)),
]


async def test_rejected_graphql_request_status_and_headers(one: Instance) -> None:
    key = await one.api.key()
    for code, body, status, headers, token in REFUSED:
        used_token = key if token is KEY else token
        for accept, expected in zip((JSON, GRAPHQL), status, strict=True):
            assert await response_of(one, body, used_token, accept) == (expected, headers, code)


async def test_body_over_size_limit(one: Instance) -> None:
    big = {"query": " " * BODY_BYTES}
    assert await response_of(one, big, ADMIN) == (413, {}, "OVER_LIMIT")
    response = await one.api.http.post("/register", json=big, headers=bearer(ADMIN))
    assert (response.status_code, response.json()["errors"][0]["code"]) == (413, "OVER_LIMIT")


async def test_operation_over_time_limit(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hangs(*_: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(device_queries, "device", hangs)
    async with instance(changed(settings, max_operation_seconds=0.1)) as one:
        found = await response_of(one, {"query": '{ device(id: "x") { id } }'}, ADMIN)
        assert found == (503, {}, "TIMED_OUT")
        response = await one.api.http.get("/devices/x", headers=bearer(ADMIN))
    assert (response.status_code, error_headers(response)) == (503, {})
    assert response.json()["errors"][0]["code"] == "TIMED_OUT"


async def test_unavailable_database(one: Instance) -> None:
    http, headers = one.api.http, bearer(ADMIN)
    services, one.app.state.database_supervisor.services = (
        one.app.state.database_supervisor.services,
        None,
    )
    try:
        assert await response_of(one, ME, ADMIN) == (503, SOON, "DATABASE_UNAVAILABLE")
        rest = await http.get("/devices/x", headers=headers)
        broker = await http.post("/mqtt/auth", json={}, headers=headers)
    finally:
        one.app.state.database_supervisor.services = services
    assert (rest.status_code, error_headers(rest)) == (503, SOON)
    message = "The database is not available; try again soon."
    error = {"code": "DATABASE_UNAVAILABLE", "field": None, "message": message}
    assert rest.json() == {"errors": [error]}
    assert (broker.status_code, error_headers(broker)) == (503, {})
    assert broker.json() == {"result": "ignore", "message": message}


async def test_rejected_broker_auth_request(one: Instance) -> None:
    post = one.api.http.post
    for token in (None, UNKNOWN, "two words"):
        response = await post("/mqtt/auth", json={}, headers=bearer(token))
        assert (response.status_code, error_headers(response)) == (401, {})
        assert response.json()["result"] == "ignore"
    for body, status in ((b"[]", 400), (b'{"action": "eat"}', 400), (b" " * 20_000, 413)):
        response = await post("/mqtt/auth", content=body, headers=bearer(ADMIN))
        assert (response.status_code, error_headers(response)) == (status, {})
        assert response.json()["result"] == "ignore"


async def test_metrics_without_token_is_unauthorized(one: Instance) -> None:
    response = await one.api.http.get("/metrics")
    assert (response.status_code, error_headers(response)) == (401, BEARER)


async def test_internal_error_outside_resolvers(
    one: Instance, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("a secret detail")

    monkeypatch.setattr("server.graphql.service.GraphQLService.prepare", fails)
    with caplog.at_level(logging.ERROR):
        assert await response_of(one, ME, ADMIN) == (500, {}, "INTERNAL")
        response = await one.api.http.get("/devices/x", headers=bearer(ADMIN))
    id = response.headers["x-request-id"]
    error = {
        "message": f"Internal error {id}: it has been logged.",
        "extensions": {"code": "INTERNAL", "id": id},
    }
    assert (response.status_code, response.json()) == (500, {"errors": [error]})
    assert "a secret detail" in caplog.text


async def test_slow_consumer_error_of_a_query_is_an_ordinary_error(
    one: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: Any) -> None:
        raise SlowConsumer("x")

    monkeypatch.setattr(device_queries, "device", fails)
    found = await response_of(one, {"query": '{ device(id: "x") { id } }'}, ADMIN)
    assert found == (200, {}, "CUT_OFF")
    assert (await one.api.http.get("/devices/x", headers=bearer(ADMIN))).status_code == 500
