"""Traces, as a collector receives them; and that nothing suffers where there is none."""

import asyncio
import json
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

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
from server.observability.tracing import Tracing, tracing_from_environment
from server.settings import Settings
from tests.conftest import ADMIN, served
from tests.observability.collector import Collector, attributes, collecting
from tests.server.process import ServerProcess
from tests.server.test_serve import ROOT
from tests.support.client import Api
from tests.support.ports import free_port
from tests.support.timing import delay
from tests.support.waiting import WAIT_SECONDS, until

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        yield collector


@pytest.fixture(autouse=True)
def talkative_again() -> Iterator[None]:
    yield
    for name in logging.root.manager.loggerDict:
        if name.startswith("opentelemetry"):
            logging.getLogger(name).setLevel(logging.NOTSET)


async def test_a_request_is_traced_down_to_its_statements(
    settings: Settings, collector: Collector
) -> None:
    async with served(settings) as api:
        await api.ask("{ devices { totalCount } }")
    request = collector.named("POST /graphql")
    assert request.kind == Span.SPAN_KIND_SERVER
    assert attributes(request)["http.response.status_code"] == 200
    operation = collector.named("query devices")
    assert operation.parent_span_id == request.span_id
    statements = [span for span in collector.spans if span.name == "SELECT"]
    assert statements
    for statement in statements:
        assert statement.parent_span_id == operation.span_id
    for statement in statements:
        assert statement.trace_id == request.trace_id
        assert request.start_time_unix_nano <= statement.start_time_unix_nano
        assert statement.end_time_unix_nano <= request.end_time_unix_nano
    assert "FROM devices" in str(attributes(statements[0])["db.query.text"])
    assert {span.trace_id for span in collector.spans} == {request.trace_id}


async def test_the_service_is_named(settings: Settings, collector: Collector) -> None:
    async with served(settings) as api:
        await api.http.get("/")
    assert collector.resource["service.name"] == "rollcall"
    assert collector.resource["service.version"] == "0.1.0"


async def test_the_environment_names_it_otherwise(
    settings: Settings, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "desk-2")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=lab")
    async with served(settings) as api:
        await api.http.get("/")
    assert collector.resource["service.name"] == "desk-2"
    assert collector.resource["deployment.environment.name"] == "lab"


async def test_a_trace_that_began_elsewhere_goes_on(
    settings: Settings, collector: Collector
) -> None:
    async with served(settings) as api:
        await api.http.get("/", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
        await api.http.get("/nowhere", headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})
    [span] = collector.spans
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)


async def test_nothing_that_a_client_has_sent_is_told(
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
    for secret in (ADMIN, "Hidden", "Clandestine", "clandestine", "rce_", "Bearer"):
        assert secret.encode() not in sent


async def answers(api: Api, path: str) -> bool:
    return (await api.http.get(path)).status_code == 200


async def test_probes_are_not_traced(settings: Settings, collector: Collector) -> None:
    async with served(settings) as api:
        # The database of a busy machine may answer a probe too late.
        for path in ("/healthz", "/readyz", "/metrics", "/"):
            await until(partial(answers, api, path))
    assert [span.name for span in collector.spans] == ["GET /"]


async def test_an_operation_has_a_span_of_its_own(database: Database, collector: Collector) -> None:
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
    told = {"rollcall.request_id": "given-9", "rollcall.outcome": "ok"}
    assert attributes(good) == told
    assert attributes(bad)["error.type"] == "ZeroDivisionError"
    assert bad.status.code == request.status.code == Status.STATUS_CODE_ERROR
    assert b"Hidden" not in b"".join(collector.bodies)


async def test_a_statement_that_fails_is_marked(database: Database, collector: Collector) -> None:
    tracing = tracing_from_environment()
    async with tracing.running():
        with tracing.operation_span("query devices"), pytest.raises(DBAPIError):
            async with database.transaction() as session:
                await session.execute(text("SELECT 1 / :number"), {"number": 0})
    failed = collector.named("SELECT")
    assert failed.status.code == Status.STATUS_CODE_ERROR
    assert attributes(failed)["db.query.text"] == "SELECT 1 / $1"


async def test_lines_of_a_traced_request_name_the_trace(
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


async def test_a_collector_that_is_away_costs_one_warning(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.1")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "4")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2")
    async with served(settings) as api, asyncio.timeout(WAIT_SECONDS):
        while "does not take traces" not in caplog.text:
            await api.ask("{ me { id } }")
        for _ in range(50):
            await api.ask("{ me { id } }")
    assert [r.name for r in caplog.records if r.levelno >= logging.WARNING] == ["rollcall.tracing"]


async def test_a_collector_that_comes_back_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rollcall.tracing")
    port = free_port()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.1")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    tracing = tracing_from_environment()

    async def trace_until(told: str) -> None:
        while told not in caplog.text:
            with tracing.operation_span("query me"):
                await asyncio.sleep(0.01)

    async with asyncio.timeout(WAIT_SECONDS), tracing.running():
        await trace_until("does not take traces")
        with collecting(port) as collector:
            await trace_until("takes traces again")
    assert collector.spans


@pytest.mark.alone
async def test_a_collector_that_hangs_does_not_hold_the_stop(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv(
            "OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}"
        )
        async with served(settings) as api:
            await api.ask("{ me { id } }")
            started = time.monotonic()
        assert time.monotonic() - started < 5 * delay()


def off(tracing: Tracing) -> bool:
    with tracing.operation_span("query devices") as span:
        return not tracing.telemetry["tracing"] and not span.is_recording()


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://a"}, False),
        ({"OTEL_SDK_DISABLED": "TRUE", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://a"}, False),
    ],
)
def test_traces_are_there_when_asked_for(
    environment: dict[str, str], wanted: bool, caplog: pytest.LogCaptureFixture
) -> None:
    assert off(tracing_from_environment(environment)) is not wanted
    assert caplog.text == ""


@pytest.mark.parametrize(
    "environment",
    [
        {"OTEL_TRACES_EXPORTER": "zipkin"},
        {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
    ],
)
def test_another_way_to_send_them_is_declined(
    environment: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    assert off(tracing_from_environment(environment))
    assert "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf" in caplog.text


async def test_a_wrong_variable_stops_the_traces_and_not_the_server(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "1")
    async with served(settings) as api:
        await api.ask("{ me { id } }")
    assert "OTEL_BSP_*" in caplog.text


async def test_without_the_packages_it_runs_and_says_what_to_install(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318")
    monkeypatch.delitem(sys.modules, "server.observability.otlp", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)  # as if not installed
    async with served(settings) as api:
        await api.ask("{ me { id } }")
    assert "Install opentelemetry-sdk and" in caplog.text


def test_nothing_is_loaded_unasked() -> None:
    code = (
        "import sys; from server.app import create_app; create_app();"
        "print({'opentelemetry.sdk', 'opentelemetry.exporter', 'requests'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == "set()\n"


def test_a_server_sends_its_last_spans_when_it_stops(tmp_path: Path) -> None:
    with collecting() as collector:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        server = ServerProcess(tmp_path / "data", **environment, OTEL_BSP_SCHEDULE_DELAY="3600000")
        server.start()
        server.ask("{ devices { totalCount } }")
        server.stop()
        assert attributes(collector.named("POST /graphql"))["http.response.status_code"] == 200
        assert "Traceback" not in server.output
