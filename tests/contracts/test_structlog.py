"""Undocumented behaviour of structlog that `server/observability/logs.py` relies on."""

import logging
import sys
from typing import Any

import structlog
from structlog.stdlib import ProcessorFormatter


def record(**more: Any) -> logging.LogRecord:
    log_record = logging.LogRecord(
        "rollcall.x", logging.INFO, "f.py", 1, "hello %s", ("you",), None
    )
    vars(log_record).update(more)
    return log_record


def test_event_has_log_record() -> None:
    """`logs` reads name, level and fields from it. It is not part of the output by default."""
    seen: list[Any] = []

    def record_event(_: Any, __: Any, event: Any) -> Any:
        seen.append(dict(event))
        return event

    formatter = ProcessorFormatter(
        processors=[
            record_event,
            ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    )
    log_record = record(fields={"a": 1})
    assert formatter.format(log_record) == '{"event": "hello you"}'
    event_record = seen[0]["_record"]
    assert (event_record.name, event_record.created, event_record.fields) == (
        log_record.name,
        log_record.created,
        {"a": 1},
    )
    assert seen[0]["event"] == "hello you"


def test_plain_traceback_has_no_variable_values() -> None:
    """`formatter` uses `plain_traceback`, because the default traceback shows tokens."""
    renderer = structlog.dev.ConsoleRenderer(
        colors=False, exception_formatter=structlog.dev.plain_traceback, timestamp_key="time"
    )
    formatter = ProcessorFormatter(processors=[ProcessorFormatter.remove_processors_meta, renderer])
    try:
        _fail(5)
    except ValueError:
        text = formatter.format(record(exc_info=sys.exc_info()))
    assert "ValueError" in text
    assert "in _fail" in text
    assert "a-token-5" not in text


def _fail(number: int) -> None:
    secret = f"a-token-{number}"
    assert secret
    int("x")
