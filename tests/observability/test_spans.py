"""Spans as a collector receives them, and their attributes."""

import asyncio
import json
import logging
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from starlette.requests import Request
from starlette.responses import Response

from db.postgres.database import Database
from server.observability.access_log import RequestIds
from server.observability.logs import formatter
from server.observability.tracing import tracing_from_environment
from server.settings import Settings
from tests.conftest import ADMIN, served
from tests.events.live.serving import Socket, instance
from tests.observability.collector import Collector, attributes, collecting
from tests.support.client import Api
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("reset_log_levels")

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        yield collector


async def test_request_operation_and_sql_spans(settings: Settings, collector: Collector) -> None:
    async with served(settings) as api:
        await api.ask("{ devices { totalCount } }")
    request = collector.named("POST /graphql")
    assert request.kind == Span.SPAN_KIND_SERVER
    assert attributes(request)["http.response.status_code"] == 200
    operation = collector.named("query devices")
    assert operation.parent_span_id == request.span_id
    statements = [span for span in collector.spans if span.name == "SELECT"]
    queries = [str(attributes(span)["db.query.text"]) for span in statements]
    assert ["FROM tokens" in query for query in queries] == [True, False, False]
    assert ["FROM devices" in query for query in queries] == [False, True, True]
    for statement, parent in zip(statements, (request, operation, operation), strict=True):
        assert statement.parent_span_id == parent.span_id
        assert parent.start_time_unix_nano <= statement.start_time_unix_nano
        assert statement.end_time_unix_nano <= parent.end_time_unix_nano
    assert {span.trace_id for span in collector.spans} == {request.trace_id}


REQUESTS = [
    ({"query": "{ me { id } }"}, 200),
    ({"query": "{ devices { totalCount } }"}, 200),
    ({"query": "mutation { createToken(input: {kind: VIEWER}) { secret } }"}, 200),
    ({"query": "{ nothing }"}, 200),
    ({"query": 5}, 400),
]


def tree(collector: Collector) -> list[Any]:
    """Each span with its parent's name, its attributes and status."""
    names = {span.span_id: span.name for span in collector.spans}
    unequal = ("server.port", "rollcall.request_id")
    return [
        (
            span.name,
            names.get(span.parent_span_id) or span.parent_span_id.hex(),
            span.kind,
            {k: v for k, v in sorted(attributes(span).items()) if k not in unequal},
            span.status.code,
        )
        for span in collector.spans
    ]


async def test_fast_path_and_asgi_create_equal_spans(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    trees = []
    for fast in (True, False):
        with collecting() as collector:
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
            async with instance(settings) as one, httpx.AsyncClient() as client:
                if not fast:
                    one.app.fast_path = None
                for body, status in REQUESTS:
                    for token in (ADMIN, "unknown"):
                        headers = {
                            "Authorization": f"Bearer {token}",
                            "traceparent": f"00-{TRACE}-{PARENT}-01",
                            "X-Forwarded-Proto": "https",
                        }
                        answer = await client.post(one.url, json=body, headers=headers)
                        assert answer.status_code == (
                            401 if token != ADMIN and status == 200 else status
                        )
        assert {span.trace_id.hex() for span in collector.spans} == {TRACE}
        trees.append(tree(collector))
    assert trees[0] == trees[1]
    assert ("query me", "POST /graphql") in [each[:2] for each in trees[0]]


async def test_shared_statement_links_to_the_requests_that_it_serves(
    settings: Settings, collector: Collector
) -> None:
    count = 40
    async with instance(settings) as one, httpx.AsyncClient() as client:
        headers = {"Authorization": f"Bearer {await one.api.key()}"}
        device = {"owner": "Acme", "place": "Paris", "type": "temperature"}

        async def register(number: int) -> None:
            variables = {**device, "mac": f"02:00:00:00:00:{number:02x}"}
            body = {"documentId": "r", "variables": variables}
            answer = await client.post(one.url, json=body, headers=headers)
            assert answer.json()["data"]["registerDevice"]["token"]

        await register(0)
        await asyncio.gather(*map(register, range(1, count)))
    requests = {span.span_id for span in collector.spans if span.name == "POST /graphql"}
    operations = {
        span.span_id for span in collector.spans if span.name == "mutation registerDevice"
    }
    assert len(operations) == count
    for part, waiting in (("FROM tokens t", requests), ("INSERT INTO devices", operations)):
        statements = [
            span
            for span in collector.spans
            if part in str(attributes(span).get("db.query.text")) and span.name != "WITH"
        ]
        found = [span.parent_span_id for span in statements]
        found += [link.span_id for span in statements for link in span.links]
        assert waiting <= set(found)
        assert max(len(span.links) for span in statements) > 0
        assert len(statements) < count


async def test_websocket_has_a_span(settings: Settings, collector: Collector) -> None:
    async with instance(settings) as one, await Socket.open(one.url, ADMIN) as socket:
        await socket.subscribe(query="{ fleet { total } }")
        await socket.message()
    span = collector.named("WS /graphql")
    assert span.kind == Span.SPAN_KIND_SERVER
    assert attributes(span)["network.protocol.name"] == "websocket"
    assert collector.named("query fleet").parent_span_id == span.span_id


async def test_default_service_name_and_version(settings: Settings, collector: Collector) -> None:
    async with served(settings) as api:
        await api.http.get("/")
    assert collector.resource["service.name"] == "rollcall"
    assert collector.resource["service.version"] == "0.1.0"


async def test_service_name_from_environment(
    settings: Settings, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "rollcall-2")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=lab")
    async with served(settings) as api:
        await api.http.get("/")
    assert collector.resource["service.name"] == "rollcall-2"
    assert collector.resource["deployment.environment.name"] == "lab"


async def test_traceparent_header_is_continued(settings: Settings, collector: Collector) -> None:
    async with served(settings) as api:
        await api.http.get("/", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
        await api.http.get("/nowhere", headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})
    [span] = collector.spans
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)


async def test_spans_contain_no_values_of_the_client(
    settings: Settings, collector: Collector
) -> None:
    query = "query Hidden($w: DeviceFilter) { devices(filter: $w) { totalCount } }"
    values = {"query": query, "variables": '{"w": {"owner": "Clandestine"}}'}
    async with served(settings) as api:
        headers = {"Authorization": f"Bearer {ADMIN}"}
        response = await api.http.get("/graphql", params=values, headers=headers)
        assert response.json()["data"] == {"devices": {"totalCount": 0}}
        await api.register(await api.key(), owner="Clandestine")
    assert attributes(collector.named("GET /graphql"))["url.query"] == "REDACTED"
    sent = b"".join(collector.bodies)
    assert b"INSERT INTO owners" in sent
    assert b"INSERT INTO devices" in sent
    for secret in (ADMIN, "Hidden", "Clandestine", "clandestine", "rce_", "Bearer"):
        assert secret.encode() not in sent


async def responds(api: Api, path: str) -> bool:
    return (await api.http.get(path)).status_code == 200


async def test_probes_are_not_traced(settings: Settings, collector: Collector) -> None:
    async with served(settings) as api:
        # On a busy machine, the readiness probe may time out at first.
        for path in ("/healthz", "/readyz", "/metrics", "/"):
            await until(partial(responds, api, path))
    assert [span.name for span in collector.spans] == ["GET /"]


async def test_operation_span_has_attributes_and_error_status(
    database: Database, collector: Collector
) -> None:
    tracing = tracing_from_environment()
    app = FastAPI(telemetry=tracing.telemetry)
    app.add_middleware(RequestIds)

    async def work(request: Request) -> Response:
        with tracing.operation_span("query devices") as span:
            span.set_attribute("rollcall.outcome", "ok")
            async with database.transaction() as session:
                await session.execute(text("SELECT 1"))
        with tracing.operation_span("mutation fail"):
            raise ZeroDivisionError(request.query_params["secret"])

    app.add_route("/work", work)
    async with tracing.running():
        api = Api(app, "")
        headers = {"X-Request-Id": "given-9"}
        assert (await api.http.get("/work?secret=Hidden", headers=headers)).status_code == 500
        await api.close()
    request, good, bad = map(collector.named, ("GET /work", "query devices", "mutation fail"))
    assert good.parent_span_id == bad.parent_span_id == request.span_id
    assert collector.named("SELECT").parent_span_id == good.span_id
    assert attributes(good) == {"rollcall.request_id": "given-9", "rollcall.outcome": "ok"}
    assert attributes(bad)["error.type"] == "ZeroDivisionError"
    assert bad.status.code == request.status.code == Status.STATUS_CODE_ERROR
    assert b"Hidden" not in b"".join(collector.bodies)


async def test_failed_statement_span_has_error_status(
    database: Database, collector: Collector
) -> None:
    tracing = tracing_from_environment()
    async with tracing.running():
        with tracing.operation_span("query devices"), pytest.raises(DBAPIError):
            async with database.transaction() as session:
                await session.execute(text("SELECT 1 / :number"), {"number": 0})
    failed = collector.named("SELECT")
    assert failed.status.code == Status.STATUS_CODE_ERROR
    assert attributes(failed)["db.query.text"] == "SELECT 1 / $1"


async def test_log_lines_of_traced_request_have_trace_id(
    settings: Settings,
    collector: Collector,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "rollcall.requests")
    monkeypatch.setattr(caplog.handler, "formatter", formatter("json"))
    async with served(settings) as api:
        await api.http.get("/nowhere")
    [line] = [line for line in map(json.loads, caplog.text.splitlines()) if "status" in line]
    assert line["trace_id"] == collector.spans[0].trace_id.hex()
