"""A span for each SQL statement of a traced request, without the values of its parameters."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    Tracer,
)
from sqlalchemy import Engine, event

from concurrency.batcher import Batcher, batch_requests
from db.postgres import statement_hook

KEY = "rollcall_span"
# What a statement does that begins with WITH.
CHANGE = re.compile(r"\b(INSERT|UPDATE|DELETE)\b")


class StatementSpans:
    """Statements of ORM sessions, and those that many requests share (`concurrency.batcher`).

    A shared statement is a child of the first request's span, with links to the others.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen to every statement of the process."""
        listeners: dict[str, Callable[..., None]] = {
            "before_cursor_execute": self._begin,
            "after_cursor_execute": self._end,
            "handle_error": self._fail,
        }
        for name, listener in listeners.items():
            event.listen(Engine, name, listener)
        previous, Batcher.current_request = Batcher.current_request, _current_request
        try:
            with statement_hook.installed(self._around):
                yield
        finally:
            Batcher.current_request = previous
            for name, listener in listeners.items():
                event.remove(Engine, name, listener)

    @contextmanager
    def _around(self, statement: str) -> Iterator[None]:
        requests: Sequence[SpanContext] = batch_requests.get()
        if not requests and not trace.get_current_span().is_recording():
            yield
            return
        span = self._start(statement, requests)
        try:
            yield
        except BaseException as error:
            _mark(span, error)
            raise
        finally:
            span.end()

    def _start(self, statement: str, requests: Sequence[SpanContext] = ()) -> Span:
        attributes = {"db.system.name": "postgresql", "db.query.text": statement}
        context = None
        if requests:
            context = trace.set_span_in_context(NonRecordingSpan(requests[0]))
        if len(requests) > 1:
            attributes["rollcall.requests"] = str(len(requests))
        return self._tracer.start_span(
            _name(statement),
            context=context,
            kind=SpanKind.CLIENT,
            attributes=attributes,
            links=[Link(request) for request in requests[1:]],
        )

    def _begin(self, _: Any, __: Any, statement: str, ___: Any, context: Any, ____: bool) -> None:
        if context is None or not trace.get_current_span().is_recording():
            return
        setattr(context, KEY, self._start(statement))

    def _end(self, _: Any, __: Any, ___: str, ____: Any, context: Any, _____: bool) -> None:
        span: Span | None = getattr(context, KEY, None)
        if span:
            span.end()

    def _fail(self, failure: Any) -> None:
        span: Span | None = getattr(failure.execution_context, KEY, None)
        if span:
            _mark(span, failure.original_exception)
            span.end()


def _current_request() -> SpanContext | None:
    span = trace.get_current_span()
    return span.get_span_context() if span.is_recording() else None


def _name(statement: str) -> str:
    word = statement.split(maxsplit=1)[0].upper()
    if word != "WITH":
        return word
    change = CHANGE.search(statement)
    return change[1] if change else "SELECT"


def _mark(span: Span, error: BaseException) -> None:
    span.set_attribute("error.type", type(error).__name__)
    span.set_status(StatusCode.ERROR)
