"""An id for every request, in its response and its log lines, and one log line per request.

Endpoints add fields for that line to `scope["state"]["log"]` (`request.state.log`), a new dict for
each request: `operation`, `actor`, `outcome`, and `error` (codes and field names).
"""

import json
import logging
import random
import re
from collections.abc import Callable
from contextvars import ContextVar
from time import perf_counter
from typing import Any
from urllib.parse import quote

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from server.http.authenticated import mark_authenticated
from server.http.errors import RESPONSES, internal_error

log = logging.getLogger("rollcall.requests")

HEADER = b"x-request-id"
CLIENT_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
# Characters of a path in the log.
MAX_PATH_LENGTH = 200
# Polled every few seconds by machines, so successful requests are not logged.
UNLOGGED_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
# nginx's status for a client that disconnected before the response.
CLIENT_DISCONNECTED = 499
INTERNAL = RESPONSES["INTERNAL"].status

OnResponse = Callable[[str, int], None]

_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


def current_request_id() -> str | None:
    """Return the id of the current request or WebSocket connection."""
    return _request_id.get()


class RequestRecord:
    """An HTTP request in progress: its id, the fields for the log, and the response's status."""

    __slots__ = ("client", "id", "log", "method", "path", "started", "status")

    def __init__(self, id: bytes, method: str, path: str, client: str | None) -> None:
        self.id = id
        self.method = method
        self.path = path
        self.client = client
        self.log: dict[str, Any] = {}
        self.started = perf_counter()
        self.status: int | None = None


class AccessLog:
    """`on_response` gets the method and status of each HTTP request.

    Status 499: the client disconnected before the response.
    """

    def __init__(self, on_response: OnResponse | None = None) -> None:
        self._on_response = on_response

    def begin(
        self, given: bytes | None, method: str, path: str, client: str | None
    ) -> RequestRecord:
        """Start a request in this context. `given`: the request id that the client sent."""
        record = RequestRecord(_id(given), method, path, client)
        _request_id.set(record.id.decode())
        return record

    def failed(self, record: RequestRecord) -> bytes:
        """Log the exception that is being handled. Return a response body for it."""
        id = record.id.decode()
        log.exception("Error %s at %s", id, _quoted(record.path))  # noqa: LOG004  called in `except`
        record.log["outcome"] = "INTERNAL"
        return json.dumps({"errors": [internal_error(id)]}, separators=(",", ":")).encode()

    def end(self, record: RequestRecord) -> None:
        """Count the request, and log it: at level info if it failed or was refused, else debug."""
        status = record.status or CLIENT_DISCONNECTED
        if self._on_response:
            self._on_response(record.method, status)
        failed = status >= 400  # noqa: PLR2004
        if record.path in UNLOGGED_PATHS and not failed:
            return
        succeeded = not failed and record.log.get("outcome", "ok") == "ok"
        level = logging.DEBUG if succeeded else logging.INFO
        if log.isEnabledFor(level):
            fields = {
                "method": record.method,
                "path": _quoted(record.path),
                "status": status,
                "milliseconds": round((perf_counter() - record.started) * 1000, 1),
                "client": record.client,
            }
            from_endpoint = {name: str(value) for name, value in record.log.items()}
            log.log(level, "request", extra={"fields": {**from_endpoint, **fields}})


class RequestIds:
    """Middleware that gives ASGI requests an id and logs them.

    An exception that escapes `app` is logged with the request's id. If no response was started, the
    client gets the id with status 500.
    """

    def __init__(self, app: ASGIApp, on_response: OnResponse | None = None) -> None:
        self.app = app
        self._access_log = AccessLog(on_response)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        given = next((value for name, value in scope["headers"] if name == HEADER), None)
        before = _request_id.get()
        state = scope.setdefault("state", {})
        try:
            if scope["type"] == "http":
                client = scope.get("client")
                record = self._access_log.begin(
                    given, scope["method"], scope["path"], client[0] if client else None
                )
                state["request_id"], state["log"] = record.id.decode(), record.log
                await self._http(scope, receive, send, record)
            else:
                id = _id(given)
                _request_id.set(id.decode())
                state["request_id"], state["log"] = id.decode(), {}
                await self._websocket(scope, receive, send, id)
        finally:
            _request_id.set(before)
        return None

    async def _http(
        self, scope: Scope, receive: Receive, send: Send, record: RequestRecord
    ) -> None:
        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                message["headers"] = [*message.get("headers", ()), (HEADER, record.id)]
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except ClientDisconnect:
            pass
        except Exception:
            body = self._access_log.failed(record)
            if record.status is not None:
                # The response has started: the server has to abort it.
                raise
            record.status = INTERNAL
            await _send_failure(record.id, body, send)
        finally:
            mark_authenticated(scope, record.log.get("actor"))
            self._access_log.end(record)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send, id: bytes) -> None:
        async def send_with_id(message: Message) -> None:
            if message["type"] in ("websocket.accept", "websocket.http.response.start"):
                headers = [*message.get("headers", ()), (HEADER, id)]
                message = {**message, "headers": headers}
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except WebSocketDisconnect:
            pass
        except Exception:
            log.exception("Error %s at %s", id.decode(), _quoted(scope["path"]))
            raise


def _id(given: bytes | None) -> bytes:
    if given and CLIENT_ID.fullmatch(given):
        return given
    return b"%016x" % random.getrandbits(64)


def _quoted(path: str) -> str:
    """Percent-encode a path, so that clients can't put line ends or terminal codes into the log."""
    return quote(path[:MAX_PATH_LENGTH])


async def _send_failure(id: bytes, body: bytes, send: Send) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (HEADER, id),
    ]
    await send({"type": "http.response.start", "status": INTERNAL, "headers": headers})
    await send({"type": "http.response.body", "body": body})
