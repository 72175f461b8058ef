"""Behaviour of OpenTelemetry, also in FastAPI, that `server/observability/` relies on."""

import logging
import sys
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http import trace_exporter
from opentelemetry.sdk import _shared_internal
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.responses import PlainTextResponse

from server.observability.otlp import NOISY_LOGGERS, WithoutQueryString
from server.observability.tracing import OFF, Tracing


def test_silenced_loggers_exist() -> None:
    """`otlp` silences these loggers by name."""
    loggers = {
        each.name
        for module in (trace_exporter, _shared_internal)
        for each in vars(module).values()
        if isinstance(each, logging.Logger)
    }
    assert set(NOISY_LOGGERS) <= loggers
    assert set(NOISY_LOGGERS) <= sys.modules.keys()


def test_invalid_batch_setting_raises_value_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """`Pipeline.start` reports a ValueError as a wrong setting."""
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "1")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2")
    with pytest.raises(ValueError, match=r"(?i)batch"):
        BatchSpanProcessor(InMemorySpanExporter())


def test_non_recording_span() -> None:
    """For `OFF` in `tracing`, and for `statement_spans` without tracing."""
    with OFF as span:
        assert not span.is_recording()
        assert not span.get_span_context().is_valid
    assert not trace.get_current_span().is_recording()
    assert trace.format_trace_id(5) == f"{5:032x}"


async def test_request_spans_redact_query_string() -> None:
    """`WithoutQueryString` relies on attributes that are present when a span starts."""
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(WithoutQueryString())
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    pipeline: Any = type("Pipeline", (), {"provider": provider})()
    app = FastAPI(telemetry=Tracing(pipeline).telemetry)
    for path in ("/seen", "/healthz"):
        app.add_route(path, lambda _: PlainTextResponse("x"))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        await client.get("/seen?secret=1")
        await client.get("/healthz")
    (span,) = exporter.get_finished_spans()
    assert span.attributes
    assert span.attributes["url.query"] == "REDACTED"
    assert "secret" not in str(span.to_json())
    provider.shutdown()
