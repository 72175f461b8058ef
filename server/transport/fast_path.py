"""The fast path of `/graphql` for the usual request: a small JSON body by POST.

It goes from the connection's parser to the bytes of the response, without ASGI, routes and
middleware. Any other request falls back to ASGI, with what was read of it, before anything of it is
executed.
"""

import asyncio
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, Protocol

import orjson
from opentelemetry.trace import Span
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from concurrency.idle_timer import IdleTimer
from db.reads.reads import TokenRecord
from domain.errors import RollcallError
from schema.engine.operation import Request
from server.graphql.endpoint import EncodedResponse, GraphQLEndpoint, GraphQLHTTPRequest
from server.graphql.request import GRAPHQL, request_of
from server.graphql.sse import EventStream
from server.http.body import JSON, TOO_SLOW, BadRequest
from server.http.cors import CorsLines
from server.observability.access_log import HEADER, INTERNAL, AccessLog, RequestRecord
from server.observability.request_spans import RequestSpan, RequestSpans
from server.transport.header_lines import DefaultLines, Headers, response_lines

PATH = "/graphql"
URL = PATH.encode()
# Seconds. uvicorn's default keep-alive timeout.
IDLE_SECONDS = 5
# Larger bodies fall back, because ASGI reads them in chunks.
MAX_FAST_BODY_BYTES = 65_536
# Cached parsed bodies: those without variables are often repeated.
MAX_CACHED = 1_000
MAX_CACHED_BYTES = 2_000
JSON_TYPES = frozenset({b"application/json", b"application/json; charset=utf-8"})
MEDIA = {
    b"": JSON,
    b"*/*": JSON,
    b"application/json": JSON,
    b"application/graphql-response+json": GRAPHQL,
}
FORWARDED = b"x-forwarded-for"
FORWARDED_SCHEME = b"x-forwarded-proto"
# Headers that change how a request has to be read.
UNUSUAL = frozenset({b"content-encoding", b"expect", b"upgrade"})


class Connection(Protocol):
    """What a cycle uses of its connection."""

    loop: asyncio.AbstractEventLoop
    tasks: "set[asyncio.Task[Any]]"

    def address(self, forwarded: bytes | None) -> str | None: ...

    def url_scheme(self, forwarded: bytes | None) -> str: ...

    @property
    def http_version(self) -> str: ...

    @property
    def paused(self) -> bool: ...

    async def drained(self) -> None: ...

    def authenticated(self) -> None: ...

    def send_response(self, cycle: "FastRequestCycle", response: list[bytes]) -> None: ...


class Closing(Protocol):
    def timeout_keep_alive_handler(self) -> None: ...


class FastPath:
    """The fast path of one application. `idle`: connections that wait for their next request.

    `spans`: None if requests are not traced.
    """

    def __init__(
        self,
        endpoint: GraphQLEndpoint,
        access_log: AccessLog,
        cors: CorsLines,
        spans: RequestSpans | None,
    ) -> None:
        self.endpoint = endpoint
        self.access_log = access_log
        self.cors = cors
        self.spans = spans
        self._max_bytes = min(MAX_FAST_BODY_BYTES, endpoint.service.settings.max_body_bytes)
        self._cached: dict[bytes, Request] = {}
        self.default_lines = DefaultLines().encode
        self.idle: IdleTimer[Closing] = IdleTimer(
            IDLE_SECONDS, lambda connection: connection.timeout_keep_alive_handler()
        )

    def new_cycle(self, connection: Connection, headers: Headers) -> "FastRequestCycle | None":
        """Return a cycle for a POST to `/graphql`, or None if the fast path does not apply."""
        named = dict(headers)
        media = MEDIA.get(named.get(b"accept", b""))
        if (
            media is None
            or len(named) != len(headers)
            or named.get(b"content-type") not in JSON_TYPES
            or not UNUSUAL.isdisjoint(named)
        ):
            return None
        return FastRequestCycle(self, connection, media, named)

    def request(self, body: bytes) -> Request | None:
        """Parse a body. Return None if the fast path does not apply."""
        cached = self._cached.get(body)
        if cached is not None:
            return cached
        if not 0 < len(body) <= self._max_bytes:
            return None
        try:
            values: Any = orjson.loads(body)
            request = request_of(values) if isinstance(values, dict) else None
        except (ValueError, BadRequest):
            return None
        if request is None:
            return None
        if not request.variables and len(body) <= MAX_CACHED_BYTES:
            if len(self._cached) >= MAX_CACHED:
                self._cached.clear()
            self._cached[body] = request
        return request


class FastRequestCycle:
    """One request and its response, in the place of uvicorn's `RequestResponseCycle`.

    Its token is looked up before a task is created, in one batch with those of other requests.
    """

    __slots__ = (
        "_address",
        "_connection",
        "_fast_path",
        "_headers",
        "_media",
        "_span",
        "authorization",
        "body",
        "disconnected",
        "given_id",
        "http_request",
        "keep_alive",
        "reading",
        "response_complete",
    )

    # uvicorn sets it for its own cycles, and does not check which kind this is.
    message_event = asyncio.Event()

    def __init__(
        self,
        fast_path: FastPath,
        connection: Connection,
        media: str,
        headers: Mapping[bytes, bytes],
    ) -> None:
        self._fast_path = fast_path
        self._connection = connection
        self._media = media
        self._headers = headers
        self._span: RequestSpan | None = None
        self._address = connection.address(headers.get(FORWARDED))
        self.authorization = headers.get(b"authorization")
        self.given_id = headers.get(HEADER)
        self.body = b""
        self.reading = True
        self.keep_alive = True
        self.disconnected = False
        self.response_complete = False

    def begin(self) -> bool:
        """Start the request once its body is complete. False: the fast path does not apply."""
        fast_path = self._fast_path
        request = fast_path.request(self.body)
        if request is None:
            return False
        self.reading = False
        authorization = self.authorization
        self.http_request = http_request = GraphQLHTTPRequest(
            request,
            "POST",
            self._media,
            events=False,
            authorization=authorization.decode("latin-1") if authorization else None,
            address=self._address,
        )
        if fast_path.spans is None:
            self._look_up(http_request)
        else:
            with self._start_span(fast_path.spans):
                self._look_up(http_request)
        return True

    def _look_up(self, http_request: GraphQLHTTPRequest) -> None:
        """Continue with `_token_found`, or with `_start` if there is no token."""
        if http_request.authorization:
            # An error is raised and answered when `respond` looks the token up again.
            with suppress(RollcallError):
                http_request.credential = self._fast_path.endpoint.service.look_up(
                    http_request.authorization
                )
        if http_request.credential and http_request.credential.token:
            http_request.credential.token.add_done_callback(self._token_found)
        else:
            self._start()

    def _start_span(self, spans: RequestSpans) -> AbstractContextManager[Span]:
        connection, headers = self._connection, self._headers
        scheme = connection.url_scheme(headers.get(FORWARDED_SCHEME))
        self._span = spans.http("POST", PATH, scheme, connection.http_version, headers)
        return self._span.active()

    def too_slow(self) -> None:
        """Refuse the request because its body did not arrive in time."""
        self.reading = False
        spans = self._fast_path.spans
        with self._start_span(spans) if spans else nullcontext():
            record = self._begin_record()
            endpoint = self._fast_path.endpoint
            self._respond(endpoint.error_response(TOO_SLOW, self._media, record.log), record)
            self._end(record)

    def _token_found(self, token: "asyncio.Future[TokenRecord | None]") -> None:
        """Respond at once if the request has nothing else to wait for; else start a task."""
        fast_path, connection = self._fast_path, self._connection
        record = self._begin_record()
        # A traced operation has a span of its own, for which `respond` is made.
        is_sync = self._span is None and not connection.paused
        if is_sync and not token.cancelled() and token.exception() is None:
            try:
                response = fast_path.endpoint.try_sync(self.http_request, record.log)
            except Exception:  # noqa: BLE001  it is logged
                body = fast_path.access_log.failed(record)
                response = EncodedResponse(INTERNAL, JSON, body)
            if response is not None:
                self._respond(response, record)
                self._end(record)
                return
        self._start(record)

    def _start(self, record: RequestRecord | None = None) -> None:
        tasks = self._connection.tasks
        task = self._connection.loop.create_task(self._run(record))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def _begin_record(self) -> RequestRecord:
        return self._fast_path.access_log.begin(self.given_id, "POST", PATH, self._address)

    async def _run(self, record: RequestRecord | None) -> None:
        fast_path, record = self._fast_path, record or self._begin_record()
        try:
            response = await fast_path.endpoint.respond(self.http_request, record.log)
            assert not isinstance(response, EventStream)  # noqa: S101  `events` is False
        except Exception:  # noqa: BLE001  it is logged
            response = EncodedResponse(INTERNAL, JSON, fast_path.access_log.failed(record))
        await self._connection.drained()
        self._respond(response, record)
        self._end(record)

    def _end(self, record: RequestRecord) -> None:
        caller = record.log.get("actor")
        if caller is not None and caller.token_id is not None:
            self._connection.authenticated()
        self._fast_path.access_log.end(record)
        if self._span:
            self._span.responded(record.status)
            self._span.end()

    def _respond(self, response: EncodedResponse, record: RequestRecord) -> None:
        self.response_complete = True
        if self.disconnected:
            return
        record.status = response.status
        head = [STATUS_LINE[response.status], response_lines(response, record.id)]
        if cors := self._fast_path.cors.encode(self._headers.get(b"origin")):
            head.append(cors)
        if response.headers and "Connection" in response.headers:
            self.keep_alive = False
        self._connection.send_response(self, [*head, b"\r\n", response.body])
