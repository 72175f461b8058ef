"""An id for every request, on its answer and on its log lines; and one log line per request.

What the endpoint knows of a request, it adds to `scope["state"]["log"]` (`request.state.log`), a
dict of its own for each request: `operation`, `actor`, `outcome`, and `error`: codes and fields.
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

from server.http.errors import RESPONSES, internal_error

log = logging.getLogger("rollcall.requests")

HEADER = b"x-request-id"
GIVEN = re.compile(rb"[A-Za-z0-9._-]{1,64}")
LONGEST_PATH = 200
# Asked for every few seconds by machines: their successes say nothing.
UNLOGGED_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
# As the answer's status says: nginx's code for a client that has gone before its answer.
CLIENT_GONE = 499
INTERNAL = RESPONSES["INTERNAL"].status

Answered = Callable[[str, int], None]

_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


def current_request_id() -> str | None:
    """The id of the request, or the websocket connection, that is being worked on."""
    return _request_id.get()


class RequestRecord:
    """An HTTP request that is answered: its id, what is known of it for the log, and its answer's
    status.
    """

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
    """`answered` is told the method and status of each HTTP request; 499: the client has gone."""

    def __init__(self, answered: Answered | None = None) -> None:
        self._answered = answered

    def begin(
        self, given: bytes | None, method: str, path: str, client: str | None
    ) -> RequestRecord:
        """A request is worked on, in this context, until `end`. `given`: the id of the client's."""
        known = RequestRecord(_id(given), method, path, client)
        _request_id.set(known.id.decode())
        return known

    def failed(self, known: RequestRecord) -> bytes:
        """Logs the exception that is being handled. The body to tell it with, where nothing was
        sent yet.
        """
        id = known.id.decode()
        log.exception("Error %s at %s", id, _quoted(known.path))  # noqa: LOG004  in one
        known.log["outcome"] = "INTERNAL"
        return json.dumps({"errors": [internal_error(id)]}, separators=(",", ":")).encode()

    def end(self, known: RequestRecord) -> None:
        """It is counted and, if need be, logged."""
        status = known.status or CLIENT_GONE
        if self._answered:
            self._answered(known.method, status)
        failed = status >= 400  # noqa: PLR2004
        if known.path in UNLOGGED_PATHS and not failed:
            return
        well = not failed and known.log.get("outcome", "ok") == "ok"
        level = logging.DEBUG if well else logging.INFO
        if log.isEnabledFor(level):
            fields = {
                "method": known.method,
                "path": _quoted(known.path),
                "status": status,
                "milliseconds": round((perf_counter() - known.started) * 1000, 1),
                "client": known.client,
            }
            told = {name: str(value) for name, value in known.log.items()}
            log.log(level, "request", extra={"fields": {**told, **fields}})


class RequestIds:
    """The middleware for all that comes as ASGI.

    An exception that escapes `app` is logged under the request's id and, where nothing was sent
    yet, answered with it.
    """

    def __init__(self, app: ASGIApp, answered: Answered | None = None) -> None:
        self.app = app
        self._journal = AccessLog(answered)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        given = next((value for name, value in scope["headers"] if name == HEADER), None)
        before = _request_id.get()
        state = scope.setdefault("state", {})
        try:
            if scope["type"] == "http":
                client = scope.get("client")
                known = self._journal.begin(
                    given, scope["method"], scope["path"], client[0] if client else None
                )
                state["request_id"], state["log"] = known.id.decode(), known.log
                await self._http(scope, receive, send, known)
            else:
                id = _id(given)
                _request_id.set(id.decode())
                state["request_id"], state["log"] = id.decode(), {}
                await self._websocket(scope, receive, send, id)
        finally:
            _request_id.set(before)
        return None

    async def _http(self, scope: Scope, receive: Receive, send: Send, known: RequestRecord) -> None:
        async def tagged(message: Message) -> None:
            if message["type"] == "http.response.start":
                known.status = message["status"]
                message["headers"] = [*message.get("headers", ()), (HEADER, known.id)]
            await send(message)

        try:
            await self.app(scope, receive, tagged)
        except ClientDisconnect:
            pass
        except Exception:
            body = self._journal.failed(known)
            if known.status is not None:
                # An answer has begun: the server has to cut it off.
                raise
            known.status = INTERNAL
            await _tell_failure(known.id, body, send)
        finally:
            self._journal.end(known)

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
            log.exception("Error %s at %s", id.decode(), _quoted(scope["path"]))
            raise


def _id(given: bytes | None) -> bytes:
    if given and GIVEN.fullmatch(given):
        return given
    return b"%016x" % random.getrandbits(64)


def _quoted(path: str) -> str:
    """In percent-encoding, so that nobody writes line ends or terminal codes into the log."""
    return quote(path[:LONGEST_PATH])


async def _tell_failure(id: bytes, body: bytes, send: Send) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (HEADER, id),
    ]
    await send({"type": "http.response.start", "status": INTERNAL, "headers": headers})
    await send({"type": "http.response.body", "body": body})
