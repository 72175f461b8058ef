"""Logging of the whole process: to stderr, as text for people or as JSON.

Code logs by `logging.getLogger("rollcall.<noun>")`; structured fields are given as
`extra={"fields": {...}}`. Query text, variables, tokens and headers are never logged.
"""

import logging
import sys
from datetime import UTC, datetime

import structlog
from opentelemetry import trace
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor, WrappedLogger

from server.observability.access_log import current_request_id
from server.settings import LogFormat, Settings


def configure_logging(settings: Settings) -> None:
    """Replace the logging configuration of the whole process.

    Levels below warning are enabled only for Rollcall and uvicorn: other libraries log there what
    they send and receive.
    """
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(level)
    handler.setFormatter(formatter(settings.log_format, colors=sys.stderr.isatty()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("rollcall").setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
        server = logging.getLogger(name)
        server.handlers.clear()
        server.setLevel(logging.INFO)  # its debug lines contain what clients send
        server.propagate = name != "uvicorn.access"  # contains query strings; see `access_log`
    logging.getLogger("uvicorn.error").addFilter(_has_no_query)
    logging.captureWarnings(capture=True)


def formatter(log_format: LogFormat, *, colors: bool = False) -> ProcessorFormatter:
    processors: list[Processor] = [_context, ProcessorFormatter.remove_processors_meta]
    if log_format == "json":
        processors += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        # The default traceback shows local variables, which may be tokens.
        plain = structlog.dev.plain_traceback
        renderer = structlog.dev.ConsoleRenderer(
            colors=colors, exception_formatter=plain, timestamp_key="time"
        )
        processors.append(renderer)
    return ProcessorFormatter(processors=processors)


def _has_no_query(record: logging.LogRecord) -> bool:
    """Filter out uvicorn's lines on WebSockets, which contain query strings."""
    return '"WebSocket %s"' not in str(record.msg)


def _context(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Add time, level, logger and ids to a record. Its own fields can't replace these."""
    record: logging.LogRecord = event["_record"]
    context: EventDict = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "logger": record.name,
    }
    if (request_id := current_request_id()) is not None:
        context["request_id"] = request_id
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        context["trace_id"] = trace.format_trace_id(span.trace_id)
    fields: EventDict = getattr(record, "fields", {})
    more = {key: value for key, value in fields.items() if key not in context and key not in event}
    return {**context, **event, **more}
