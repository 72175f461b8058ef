"""Spans of requests that do not pass FastAPI's telemetry, with the same names and attributes.

https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server-span
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from starlette.types import ASGIApp, Receive, Scope, Send

PROPAGATED = (b"traceparent", b"tracestate", b"baggage")
PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
SERVER_ERROR = 500

Headers = Mapping[bytes, bytes]


class RequestSpan:
    """The span of one request. `end` must be called."""

    __slots__ = ("_span",)

    def __init__(self, span: Span) -> None:
        self._span = span

    def active(self) -> AbstractContextManager[Span]:
        """Make it the current span. Callbacks and tasks that are created inside inherit it."""
        return trace.use_span(
            self._span, end_on_exit=False, record_exception=False, set_status_on_exception=False
        )

    def responded(self, status: int | None) -> None:
        """`status`: of the response. None: the client disconnected before it."""
        if status is not None:
            self._span.set_attribute("http.response.status_code", status)
        if status is None or status >= SERVER_ERROR:
            self.failed("ConnectionError" if status is None else str(status))

    def failed(self, error_type: str) -> None:
        self._span.set_attribute("error.type", error_type)
        self._span.set_status(StatusCode.ERROR)

    def end(self) -> None:
        self._span.end()


class RequestSpans:
    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def http(
        self, method: str, path: str, scheme: str, version: str, headers: Headers
    ) -> RequestSpan:
        """`version`: of HTTP, such as 1.1."""
        attributes = {
            "http.request.method": method,
            "url.path": path,
            "network.protocol.version": version,
        }
        return self._start(method, path, scheme, headers, attributes)

    def websocket(self, path: str, scheme: str, headers: Headers) -> RequestSpan:
        return self._start("WS", path, scheme, headers, {"network.protocol.name": "websocket"})

    def _start(
        self, name: str, route: str, scheme: str, headers: Headers, attributes: dict[str, Any]
    ) -> RequestSpan:
        carrier = {
            name.decode(): headers[name].decode("latin-1") for name in PROPAGATED if name in headers
        }
        span = self._tracer.start_span(
            f"{name} {route}",
            context=propagate.extract(carrier),
            kind=SpanKind.SERVER,
            attributes={
                "url.scheme": scheme,
                "http.route": route,
                **attributes,
                **_server(headers.get(b"host"), scheme),
            },
        )
        return RequestSpan(span)


class TracedWebSocket:
    """An ASGI application for WebSockets, with a span for each connection."""

    def __init__(self, app: ASGIApp, spans: RequestSpans) -> None:
        self._app = app
        self._spans = spans

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        span = self._spans.websocket(scope["path"], scope["scheme"], dict(scope["headers"]))
        try:
            with span.active():
                await self._app(scope, receive, send)
        except BaseException as error:
            span.failed(type(error).__name__)
            raise
        finally:
            span.end()


def _server(host: bytes | None, scheme: str) -> dict[str, Any]:
    """The address that the client used. Nothing if the header Host is malformed."""
    try:
        url = urlsplit("//" + (host or b"").decode("latin-1"))
        address, port = url.hostname, url.port
    except ValueError:
        return {}
    if address is None or url.username is not None or url.path or url.query or url.fragment:
        return {}
    return {"server.address": address, "server.port": port or PORTS[scheme]}
