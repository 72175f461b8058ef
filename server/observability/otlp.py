"""Exports spans to an OpenTelemetry collector. Imports the packages of the extra `otel`."""

import asyncio
import logging
import threading
from collections.abc import Sequence
from importlib.metadata import version

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

log = logging.getLogger("rollcall.tracing")

# Seconds that the stop waits for the last spans.
FLUSH_SECONDS = 2.0
# Silenced: they log each batch that is not accepted. `Collector` logs only the first.
NOISY_LOGGERS = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.sdk._shared_internal",
)


class Pipeline:
    """A tracer provider, configured by OpenTelemetry's own environment variables."""

    def __init__(self) -> None:
        defaults = {"service.name": "rollcall", "service.version": version("rollcall")}
        resource = Resource.create(defaults).merge(OTELResourceDetector().detect())
        self.provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._exporter = Collector(OTLPSpanExporter())

    def start(self) -> None:
        for name in NOISY_LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self.provider.add_span_processor(WithoutQueryString())
        try:
            self.provider.add_span_processor(BatchSpanProcessor(self._exporter))
        except ValueError as error:
            log.warning("Traces are not sent. Check the variables OTEL_BSP_*: %s", error)

    async def stop(self) -> None:
        """Send the remaining spans, but wait at most FLUSH_SECONDS for the collector."""
        sending = threading.Thread(target=self.provider.shutdown, name="last spans", daemon=True)
        sending.start()
        await asyncio.to_thread(sending.join, FLUSH_SECONDS)
        if sending.is_alive():
            self._exporter.shutdown()


class Collector(SpanExporter):
    """Logs when the collector stops accepting spans, and when it accepts them again."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._accepted = True
        self._stopped = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._exporter.export(spans)
        except Exception:  # noqa: BLE001  tracing must not break anything
            result = SpanExportResult.FAILURE
        accepted = result is SpanExportResult.SUCCESS
        if self._accepted and not accepted:
            log.warning(
                "The collector does not accept traces; they are lost until it does. "
                "Check OTEL_EXPORTER_OTLP_ENDPOINT."
            )
        elif accepted and not self._accepted:
            log.info("The collector accepts traces again.")
        self._accepted = accepted
        return result

    def shutdown(self) -> None:
        if not self._stopped:
            self._stopped = True
            self._exporter.shutdown()


class WithoutQueryString(SpanProcessor):
    """Removes query strings: a GraphQL request by GET has its document and variables there."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002
        if span.attributes and "url.query" in span.attributes:
            span.set_attribute("url.query", "REDACTED")
