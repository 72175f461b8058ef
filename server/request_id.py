"""An id for every request, on its answer and on its log lines; and one log line per request.

What the endpoint knows of a request, it adds to `scope["state"]["log"]` (`request.state.log`), a
dict of its own for each request: `operation`, `outcome`, `actor`.
"""

import json
import logging
import random
import re
from collections.abc import Callable
from contextvars import ContextVar, Token
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
INTERNAL = 500

Answered = Callable[[str, int], None]

_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


def current_request_id() -> str | None:
    """The id of the request, or the websocket connection, that is being worked on."""
    return _request_id.get()


class Known:
    """A request that is answered: its id, what is known of it for the log, its answer's status."""

    __slots__ = ("id", "log", "started", "status", "token")

    def __init__(self, id: bytes) -> None:
        self.id = id
        self.log: dict[str, Any] = {}
        self.started = perf_counter()
        self.status: int | None = None
        self.token: Token[str | None] | None = None


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
        given = next((value for name, value in scope["headers"] if name == HEADER), None)
        if scope["type"] == "http":
            known = self.begin(scope, given)
            try:
                await self._http(scope, receive, send, known)
            except ClientDisconnect:
                pass
            finally:
                self.end(scope, known)
        else:
            id = _id(given)
            state = scope.setdefault("state", {})
            state["request_id"], state["log"] = id.decode(), {}
            token = _request_id.set(id.decode())
            try:
                await self._websocket(scope, receive, send, id)
            finally:
                _request_id.reset(token)
        return None

    def begin(self, scope: Scope, given: bytes | None) -> Known:
        """An HTTP request is worked on, until `end`. `given`: the id that the client sent."""
        known = Known(_id(given))
        id = known.id.decode()
        state = scope.setdefault("state", {})
        state["request_id"], state["log"] = id, known.log
        known.token = _request_id.set(id)
        return known

    def end(self, scope: Scope, known: Known) -> None:
        """It is counted and, if need be, logged."""
        self._done(scope, known, perf_counter() - known.started)
        if known.token:
            _request_id.reset(known.token)

    async def _http(self, scope: Scope, receive: Receive, send: Send, known: Known) -> None:
        async def tagged(message: Message) -> None:
            if message["type"] == "http.response.start":
                known.status = message["status"]
                message["headers"] = [*message.get("headers", ()), (HEADER, known.id)]
            await send(message)

        try:
            await self.app(scope, receive, tagged)
        except ClientDisconnect:
            raise
        except Exception:
            if not await self.told_failure(scope, known, send):
                raise

    async def told_failure(self, scope: Scope, known: Known, send: Send) -> bool:
        """For an exception that is being handled: it is logged and, if nothing was sent, told.

        False where an answer has begun: the server has to cut it off.
        """
        log.exception("Error %s at %s", known.id.decode(), _path(scope))  # noqa: LOG004  in one
        known.log["outcome"] = "INTERNAL"
        if known.status is not None:
            return False
        known.status = INTERNAL
        await _internal_error(known.id, send)
        return True

    def _done(self, scope: Scope, known: Known, seconds: float) -> None:
        status = known.status or CLIENT_GONE
        if self.answered:
            self.answered(scope["method"], status)
        failed = status >= 400  # noqa: PLR2004
        if scope["path"] in QUIET and not failed:
            return
        well = not failed and known.log.get("outcome", "ok") == "ok"
        level = logging.DEBUG if well else logging.INFO
        if log.isEnabledFor(level):
            client = scope.get("client")
            fields = {
                "method": scope["method"],
                "path": _path(scope),
                "status": status,
                "milliseconds": round(seconds * 1000, 1),
                "client": client[0] if client else None,
            }
            told = {name: str(value) for name, value in known.log.items()}
            log.log(level, "request", extra={"fields": {**told, **fields}})

    async def _websocket(self, scope: Scope, receive: Receive, send: Send, id: bytes) -> None:
        async def tagged(message: Message) -> None:
            if message["type"] in ("websocket.accept", "websocket.http.response.start"):
                headers = [*message.get("headers", ()), (HEADER, id)]
                message = {**message, "headers": headers}
            await send(message)

        try:
            await self.app(scope, receive, tagged)
        except WebSocketDisconnect:
            pass
        except Exception:
            log.exception("Error %s at %s", id.decode(), _path(scope))
            raise


def _id(given: bytes | None) -> bytes:
    if given and GIVEN.fullmatch(given):
        return given
    return b"%016x" % random.getrandbits(64)


def _path(scope: Scope) -> str:
    """In percent-encoding, so that nobody writes line ends or terminal codes into the log."""
    return quote(scope["path"][:LONGEST_PATH])


async def _internal_error(id: bytes, send: Send) -> None:
    error = {
        "message": f"Internal error {id.decode()}: it has been logged.",
        "extensions": {"code": "INTERNAL", "id": id.decode()},
    }
    body = json.dumps({"errors": [error]}, separators=(",", ":")).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (HEADER, id),
    ]
    await send({"type": "http.response.start", "status": INTERNAL, "headers": headers})
    await send({"type": "http.response.body", "body": body})
