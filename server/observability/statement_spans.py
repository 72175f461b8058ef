"""A span for each SQL statement of a traced request. Values are parameters, and not told."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from sqlalchemy import Engine, event

KEY = "rollcall_span"


class StatementSpans:
    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    @contextmanager
    def listening(self) -> Iterator[None]:
        """To every engine of the process."""
        listeners: dict[str, Callable[..., None]] = {
            "before_cursor_execute": self._begin,
            "after_cursor_execute": self._end,
            "handle_error": self._fail,
        }
        for name, listener in listeners.items():
            event.listen(Engine, name, listener)
        try:
            yield
        finally:
            for name, listener in listeners.items():
                event.remove(Engine, name, listener)

    def _begin(self, _: Any, __: Any, statement: str, ___: Any, context: Any, ____: bool) -> None:
        if context is None or not trace.get_current_span().is_recording():
            return
        span = self._tracer.start_span(
            statement.split(maxsplit=1)[0],
            kind=SpanKind.CLIENT,
            attributes={"db.system.name": "postgresql", "db.query.text": statement},
        )
        setattr(context, KEY, span)

    def _end(self, _: Any, __: Any, ___: str, ____: Any, context: Any, _____: bool) -> None:
        span: Span | None = getattr(context, KEY, None)
        if span:
            span.end()

    def _fail(self, failure: Any) -> None:
        span: Span | None = getattr(failure.execution_context, KEY, None)
        if span:
            span.set_attribute("error.type", type(failure.original_exception).__name__)
            span.set_status(StatusCode.ERROR)
            span.end()
