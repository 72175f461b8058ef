"""From a span's end to the collector. Imports the packages of the extra `otel`."""

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

FLUSH_SECONDS = 2.0
# They tell of each batch that is not taken; ours tells of the first.
TALKATIVE = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.sdk._shared_internal",
)


class Pipeline:
    """Its settings are OpenTelemetry's own environment variables."""

    def __init__(self) -> None:
        ours = {"service.name": "rollcall", "service.version": version("rollcall")}
        resource = Resource.create(ours).merge(OTELResourceDetector().detect())
        self.provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._exporter = Collector(OTLPSpanExporter())

    def start(self) -> None:
        for name in TALKATIVE:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self.provider.add_span_processor(WithoutQueryString())
        try:
            self.provider.add_span_processor(BatchSpanProcessor(self._exporter))
        except ValueError as error:
            log.warning("Traces are not sent. Check the variables OTEL_BSP_*: %s", error)

    async def stop(self) -> None:
        """Sends what is left. A collector that does not answer is not waited for."""
        sending = threading.Thread(target=self.provider.shutdown, name="last spans", daemon=True)
        sending.start()
        await asyncio.to_thread(sending.join, FLUSH_SECONDS)
        if sending.is_alive():
            self._exporter.shutdown()


class Collector(SpanExporter):
    """Tells when the collector stops taking spans, and when it takes them again."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._taken = True
        self._stopped = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._exporter.export(spans)
        except Exception:  # noqa: BLE001  traces never get in the way
            result = SpanExportResult.FAILURE
        taken = result is SpanExportResult.SUCCESS
        if self._taken and not taken:
            log.warning(
                "The collector does not take traces; they are lost until it does. "
                "See OTEL_EXPORTER_OTLP_ENDPOINT."
            )
        elif taken and not self._taken:
            log.info("The collector takes traces again.")
        self._taken = taken
        return result

    def shutdown(self) -> None:
        if not self._stopped:
            self._stopped = True
            self._exporter.shutdown()


class WithoutQueryString(SpanProcessor):
    """A GraphQL query by GET stands in the address, with its variables."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002
        if span.attributes and "url.query" in span.attributes:
            span.set_attribute("url.query", "REDACTED")
