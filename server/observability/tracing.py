"""OpenTelemetry traces, enabled by its own environment variables; otherwise nothing is loaded.

A trace has the span of the request (FastAPI's), one for the GraphQL operation, and one for each SQL
statement. Spans contain no values that a client has sent.
"""

import logging
import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from fastapi.telemetry import TelemetryConfig
from opentelemetry import trace
from opentelemetry.trace import Span, StatusCode

from server.observability.access_log import UNLOGGED_PATHS, current_request_id
from server.observability.request_spans import RequestSpans
from server.observability.statement_spans import StatementSpans

if TYPE_CHECKING:
    from server.observability.otlp import Pipeline

log = logging.getLogger("rollcall.tracing")

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL = "http/protobuf"
PACKAGES = "opentelemetry-sdk and opentelemetry-exporter-otlp-proto-http"
OFF: AbstractContextManager[Span] = nullcontext(trace.INVALID_SPAN)


class Tracing:
    """Without a pipeline, tracing is off and costs nothing."""

    def __init__(self, pipeline: "Pipeline | None" = None) -> None:
        self._pipeline = pipeline
        self._tracer = pipeline.provider.get_tracer("rollcall") if pipeline else None

    @property
    def on(self) -> bool:
        return self._pipeline is not None

    @property
    def telemetry(self) -> TelemetryConfig:
        """For `FastAPI(telemetry=...)`, which creates the spans of requests."""
        return {
            "tracer_provider": self._pipeline.provider if self._pipeline else None,
            "tracing": self._pipeline is not None,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
            "exclude": lambda scope: scope["path"] in UNLOGGED_PATHS,
        }

    def operation_span(self, operation: str) -> AbstractContextManager[Span]:
        """A span around the execution of an operation. `operation`: such as `query devices`."""
        return self._operation(operation) if self._tracer else OFF

    @property
    def request_spans(self) -> RequestSpans | None:
        """For requests that bypass FastAPI. None if tracing is off."""
        return RequestSpans(self._tracer) if self._tracer else None

    @contextmanager
    def _operation(self, operation: str) -> Iterator[Span]:
        assert self._tracer is not None  # noqa: S101
        attributes = {"rollcall.request_id": current_request_id() or ""}
        with self._tracer.start_as_current_span(
            operation, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield span
            except Exception as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(StatusCode.ERROR)
                raise

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send spans while entered. At the end, send the rest within two seconds."""
        if self._pipeline is None or self._tracer is None:
            yield
            return
        self._pipeline.start()
        try:
            with StatementSpans(self._tracer).listening():
                yield
        finally:
            await self._pipeline.stop()


def tracing_from_environment(environment: Mapping[str, str] = os.environ) -> Tracing:
    """Enable tracing if the environment requests it. Log why if that is not possible."""
    if not _is_requested(environment):
        return Tracing()
    exporter = environment.get("OTEL_TRACES_EXPORTER") or "otlp"
    protocol = next(filter(None, map(environment.get, PROTOCOLS)), PROTOCOL)
    if (exporter, protocol) != ("otlp", PROTOCOL):
        log.warning(
            "Traces are off: Rollcall sends them by OTLP over HTTP only. Set "
            "OTEL_TRACES_EXPORTER=otlp, OTEL_EXPORTER_OTLP_PROTOCOL=%s and the collector's "
            "address for it, such as OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318.",
            PROTOCOL,
        )
        return Tracing()
    try:
        from server.observability.otlp import Pipeline  # noqa: PLC0415  an optional extra
    except ModuleNotFoundError:
        log.warning(
            "Traces are off: OpenTelemetry's packages are not installed. Install %s for %s, as "
            "requirements.lock does.",
            PACKAGES,
            sys.executable,
        )
        return Tracing()
    return Tracing(Pipeline())


def _is_requested(environment: Mapping[str, str]) -> bool:
    exporter = environment.get("OTEL_TRACES_EXPORTER", "")
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or exporter == "none":
        return False
    return bool(exporter) or any(environment.get(name) for name in ENDPOINTS)
