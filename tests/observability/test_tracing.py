"""Tracing: its settings, an unreachable or hanging collector, and missing packages."""

import asyncio
import logging
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from server.observability.tracing import Tracing, tracing_from_environment
from server.settings import Settings
from tests.conftest import served
from tests.observability.collector import attributes, collecting
from tests.server.process import ServerProcess
from tests.server.test_serve import ROOT
from tests.support.ports import free_port
from tests.support.timing import delay
from tests.support.waiting import WAIT_SECONDS

pytestmark = pytest.mark.usefixtures("reset_log_levels")


async def test_unreachable_collector_logs_one_warning(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.1")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "4")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2")
    async with served(settings) as api, asyncio.timeout(WAIT_SECONDS):
        while "does not accept traces" not in caplog.text:
            await api.ask("{ me { id } }")
        for _ in range(50):
            await api.ask("{ me { id } }")
    assert [r.name for r in caplog.records if r.levelno >= logging.WARNING] == ["rollcall.tracing"]


async def test_recovered_collector_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rollcall.tracing")
    port = free_port()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.1")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    tracing = tracing_from_environment()

    async def trace_until(text: str) -> None:
        while text not in caplog.text:
            with tracing.operation_span("query me"):
                await asyncio.sleep(0.01)

    async with asyncio.timeout(WAIT_SECONDS), tracing.running():
        await trace_until("does not accept traces")
        with collecting(port) as collector:
            await trace_until("accepts traces again")
    assert collector.spans


@pytest.mark.alone
async def test_hanging_collector_does_not_delay_stop(
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
    ("environment", "enabled"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://a"}, False),
        ({"OTEL_SDK_DISABLED": "TRUE", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://a"}, False),
    ],
)
def test_tracing_is_enabled_by_environment(
    environment: dict[str, str], enabled: bool, caplog: pytest.LogCaptureFixture
) -> None:
    assert off(tracing_from_environment(environment)) is not enabled
    assert caplog.text == ""


@pytest.mark.parametrize(
    "environment",
    [
        {"OTEL_TRACES_EXPORTER": "zipkin"},
        {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
    ],
)
def test_unsupported_exporter_disables_tracing_with_a_hint(
    environment: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    assert off(tracing_from_environment(environment))
    assert "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf" in caplog.text


async def test_invalid_otel_variable_disables_only_tracing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "1")
    async with served(settings) as api:
        await api.ask("{ me { id } }")
    assert "OTEL_BSP_*" in caplog.text


async def test_missing_packages_disable_tracing_with_a_hint(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318")
    monkeypatch.delitem(sys.modules, "server.observability.otlp", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)  # as if not installed
    async with served(settings) as api:
        await api.ask("{ me { id } }")
    assert "Install opentelemetry-sdk and" in caplog.text


def test_tracing_packages_are_not_imported_by_default() -> None:
    code = (
        "import sys; from server.app import create_app; create_app();"
        "print({'opentelemetry.sdk', 'opentelemetry.exporter', 'requests'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == "set()\n"


def test_stopping_server_sends_its_last_spans(tmp_path: Path) -> None:
    with collecting() as collector:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        server = ServerProcess(tmp_path / "data", **environment, OTEL_BSP_SCHEDULE_DELAY="3600000")
        server.start()
        server.ask("{ devices { totalCount } }")
        server.stop()
        assert attributes(collector.named("POST /graphql"))["http.response.status_code"] == 200
        assert "Traceback" not in server.output
