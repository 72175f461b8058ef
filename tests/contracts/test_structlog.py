"""What `server/observability/logs.py` relies on in structlog, beside its documented names."""

import logging
import sys
from typing import Any

import structlog
from structlog.stdlib import ProcessorFormatter


def record(**more: Any) -> logging.LogRecord:
    made = logging.LogRecord("rollcall.x", logging.INFO, "f.py", 1, "hello %s", ("you",), None)
    vars(made).update(more)
    return made


def test_the_record_behind_an_event() -> None:
    """`_context` takes name, level and fields from it, and none of it is shown by itself."""
    seen: list[Any] = []

    def look(_: Any, __: Any, event: Any) -> Any:
        seen.append(dict(event))
        return event

    formatter = ProcessorFormatter(
        processors=[
            look,
            ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    )
    given = record(fields={"a": 1})
    assert formatter.format(given) == '{"event": "hello you"}'
    kept = seen[0]["_record"]
    assert (kept.name, kept.created, kept.fields) == (given.name, given.created, {"a": 1})
    assert seen[0]["event"] == "hello you"


def test_a_traceback_without_the_values_of_variables() -> None:
    """`formatter` chooses `plain_traceback`: the default one shows tokens."""
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
