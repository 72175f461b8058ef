"""An id for every request, on its answer and on its log lines; and one log line per request.

What the endpoint knows of a request, it adds to `scope["state"]["log"]` (`request.state.log`), a
dict of its own for each request: `operation`, `outcome`, `actor`.
"""

import json
import logging
import re
import secrets
from collections.abc import Callable
from contextvars import ContextVar
from time import perf_counter
from typing import Any
from urllib.parse import quote

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

log = logging.getLogger("rollcall.requests")

HEADER = b"x-request-id"
GIVEN = re.compile(rb"[A-Za-z0-9._-]{1,64}")
LONGEST_PATH = 200
# Asked for every few seconds by machines: their successes say nothing.
QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
# As the answer's status says: nginx's code for a client that has gone before its answer.
CLIENT_GONE = 499

Answered = Callable[[str, int], None]

_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


def current_request_id() -> str | None:
    """The id of the request, or the websocket connection, that is being worked on."""
    return _request_id.get()


class RequestIds:
    """`answered` is told the method and status of each HTTP request; 499: the client has gone.

    An exception that escapes `app` is logged under the request's id and, where nothing was sent
    yet, answered with it.
    """

    def __init__(self, app: ASGIApp, answered: Answered | None = None) -> None:
        self.app = app
        self.answered = answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        id = _given(scope) or secrets.token_hex(8)
        state = scope.setdefault("state", {})
        state["request_id"], state["log"] = id, {}
        token = _request_id.set(id)
        try:
            if scope["type"] == "http":
                await self._http(scope, receive, send, id)
            else:
                await self._websocket(scope, receive, send, id)
        finally:
            _request_id.reset(token)

    async def _http(self, scope: Scope, receive: Receive, send: Send, id: str) -> None:
        started = perf_counter()
        status: int | None = None
        header = (HEADER, id.encode())

        async def tagged(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), header]}
            await send(message)

        try:
            await self.app(scope, receive, tagged)
        except ClientDisconnect:
            pass
        except Exception:
            log.exception("Error %s at %s", id, _path(scope))
            scope["state"]["log"]["outcome"] = "INTERNAL"
            if status is not None:  # the server has to cut the answer off
                raise
            await _internal_error(id, tagged)
        finally:
            self._done(scope, status or CLIENT_GONE, perf_counter() - started)

    def _done(self, scope: Scope, status: int, seconds: float) -> None:
        if self.answered:
            self.answered(scope["method"], status)
        failed = status >= 400  # noqa: PLR2004
        if scope["path"] in QUIET and not failed:
            return
        told: dict[str, Any] = scope["state"]["log"]
        level = logging.INFO if failed or told.get("outcome", "ok") != "ok" else logging.DEBUG
        if log.isEnabledFor(level):
            client = scope.get("client")
            fields = {
                "method": scope["method"],
                "path": _path(scope),
                "status": status,
                "milliseconds": round(seconds * 1000, 1),
                "client": client[0] if client else None,
            }
            log.log(level, "request", extra={"fields": {**told, **fields}})

    async def _websocket(self, scope: Scope, receive: Receive, send: Send, id: str) -> None:
        async def tagged(message: Message) -> None:
            if message["type"] in ("websocket.accept", "websocket.http.response.start"):
                headers = [*message.get("headers", ()), (HEADER, id.encode())]
                message = {**message, "headers": headers}
            await send(message)

        try:
            await self.app(scope, receive, tagged)
        except WebSocketDisconnect:
            pass
        except Exception:
            log.exception("Error %s at %s", id, _path(scope))
            raise


def _given(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == HEADER:
            return value.decode() if GIVEN.fullmatch(value) else None
    return None


def _path(scope: Scope) -> str:
    """In percent-encoding, so that nobody writes line ends or terminal codes into the log."""
    return quote(scope["path"][:LONGEST_PATH])


async def _internal_error(id: str, send: Send) -> None:
    error = {
        "message": f"Internal error {id}: it has been logged.",
        "extensions": {"code": "INTERNAL", "id": id},
    }
    body = json.dumps({"errors": [error]}, separators=(",", ":")).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": body})
