"""One way out for every log line of the process: to stderr, for people or for programs.

Code logs by `logging.getLogger("rollcall.<noun>")`; fields for programs come as
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
    """Takes over the logging of the whole process, whatever was set up before.

    Below warnings, only Rollcall and the server are heard: libraries tell there what they send
    and receive.
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
        server.setLevel(logging.INFO)  # its debug lines hold what clients send
        server.propagate = name != "uvicorn.access"  # holds query strings; ours is `requests`
    logging.getLogger("uvicorn.error").addFilter(_says_no_query)
    logging.captureWarnings(capture=True)


def formatter(log_format: LogFormat, *, colors: bool = False) -> ProcessorFormatter:
    processors: list[Processor] = [_context, ProcessorFormatter.remove_processors_meta]
    if log_format == "json":
        processors += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        # The default traceback shows local variables, tokens among them.
        plain = structlog.dev.plain_traceback
        renderer = structlog.dev.ConsoleRenderer(
            colors=colors, exception_formatter=plain, timestamp_key="time"
        )
        processors.append(renderer)
    return ProcessorFormatter(processors=processors)


def _says_no_query(record: logging.LogRecord) -> bool:
    """Uvicorn's lines on websockets have the address with its query string."""
    return '"WebSocket %s"' not in str(record.msg)


def _context(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """What is known of a record beside its message; its own fields can't replace any of it."""
    record: logging.LogRecord = event["_record"]
    told: EventDict = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "logger": record.name,
    }
    if (request_id := current_request_id()) is not None:
        told["request_id"] = request_id
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        told["trace_id"] = trace.format_trace_id(span.trace_id)
    fields: EventDict = getattr(record, "fields", {})
    more = {key: value for key, value in fields.items() if key not in told and key not in event}
    return {**told, **event, **more}
