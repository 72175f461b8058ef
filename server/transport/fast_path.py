"""The short way to `/graphql`, for what most requests are: a small JSON body by POST.

From the connection's parser straight to the answer's bytes, with nothing that could have been done
once: no ASGI, no routes, no middleware. What is unusual about a request is left to the long way,
with what was read of it: so nothing is decided twice.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from db.reads.reads import TokenRecord
from domain.errors import RollcallError
from schema.engine.deadlines import IdleTimer
from schema.engine.execution import Request
from server.graphql.endpoint import TOO_SLOW, Answer, GraphQLEndpoint, GraphQLHTTPRequest
from server.graphql.request import GRAPHQL, request_of
from server.graphql.sse import EventStream
from server.http.body import JSON, BadRequest
from server.observability.access_log import HEADER, INTERNAL, AccessLog, RequestRecord

PATH = "/graphql"
URL = PATH.encode()
# As uvicorn's own.
IDLE_SECONDS = 5
# Larger ones are read in pieces.
MOST_BYTES = 65_536
# Bodies that come again and again, as those without variables do.
MOST_KEPT = 1_000
KEPT_BYTES = 2_000
JSON_TYPES = frozenset({b"application/json", b"application/json; charset=utf-8"})
MEDIA = {
    b"": JSON,
    b"*/*": JSON,
    b"application/json": JSON,
    b"application/graphql-response+json": GRAPHQL,
}
FORWARDED = b"x-forwarded-for"
# Of requests that mean more than their bodies say.
UNUSUAL = frozenset({b"content-encoding", b"expect", b"upgrade"})
CONTENT_TYPES = {media: f"{media}; charset=utf-8".encode() for media in (JSON, GRAPHQL)}

Headers = Sequence[tuple[bytes, bytes]]


class Connection(Protocol):
    """What an exchange needs of the one that it came by."""

    loop: asyncio.AbstractEventLoop
    tasks: "set[asyncio.Task[Any]]"

    def address(self, forwarded: bytes | None) -> str | None: ...

    @property
    def paused(self) -> bool: ...

    async def drained(self) -> None: ...

    def tell(self, exchange: "FastRequestCycle", answer: list[bytes]) -> None: ...


class Closing(Protocol):
    def timeout_keep_alive_handler(self) -> None: ...


class FastPath:
    """Of one application. `idle`: connections that wait for their next request."""

    def __init__(self, endpoint: GraphQLEndpoint, journal: AccessLog) -> None:
        self.endpoint = endpoint
        self.journal = journal
        self._most = min(MOST_BYTES, endpoint.service.settings.max_body_bytes)
        self._kept: dict[bytes, Request] = {}
        self.default_lines = DefaultLines().of
        self.idle: IdleTimer[Closing] = IdleTimer(
            IDLE_SECONDS, lambda connection: connection.timeout_keep_alive_handler()
        )

    def exchange(self, connection: Connection, headers: Headers) -> "FastRequestCycle | None":
        """For a POST to `/graphql`. None where the long way has to look at it."""
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
        """None where the long way has to look at it."""
        kept = self._kept.get(body)
        if kept is not None:
            return kept
        if not 0 < len(body) <= self._most:
            return None
        try:
            values: Any = orjson.loads(body)
        except ValueError:
            return None
        if not isinstance(values, dict):
            return None
        try:
            request = request_of(values)
        except BadRequest:
            return None
        if not request.variables and len(body) <= KEPT_BYTES:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[body] = request
        return request


class FastRequestCycle:
    """One request and its answer, in the place of uvicorn's `RequestResponseCycle`.

    Its token is looked up before there is a task for it, along with those of all others.
    """

    __slots__ = (
        "_address",
        "_connection",
        "_media",
        "_way",
        "asked",
        "authorization",
        "body",
        "disconnected",
        "given_id",
        "keep_alive",
        "reading",
        "response_complete",
    )

    # uvicorn sets it, for its own.
    message_event = asyncio.Event()

    def __init__(
        self,
        way: FastPath,
        connection: Connection,
        media: str,
        headers: Mapping[bytes, bytes],
    ) -> None:
        self._way = way
        self._connection = connection
        self._media = media
        self._address = connection.address(headers.get(FORWARDED))
        self.authorization = headers.get(b"authorization")
        self.given_id = headers.get(HEADER)
        self.body = b""
        self.reading = True
        self.keep_alive = True
        self.disconnected = False
        self.response_complete = False

    def begin(self) -> bool:
        """With its whole body. False where the long way has to look at it."""
        way = self._way
        request = way.request(self.body)
        if request is None:
            return False
        self.reading = False
        authorization = self.authorization
        self.asked = asked = GraphQLHTTPRequest(
            request,
            "POST",
            self._media,
            events=False,
            authorization=authorization.decode("latin-1") if authorization else None,
            address=self._address,
        )
        if authorization:
            # What it raises is told when it is tried again.
            with suppress(RollcallError):
                asked.credential = way.endpoint.service.look_up(asked.authorization)
        if asked.credential and asked.credential.token:
            asked.credential.token.add_done_callback(self._found)
        else:
            self._start()
        return True

    def too_slow(self) -> None:
        """Its body does not come."""
        self.reading = False
        known = self._begin()
        self._tell(self._way.endpoint.refusal(TOO_SLOW, self._media, known.log), known)
        self._way.journal.end(known)

    def _found(self, token: "asyncio.Future[TokenRecord | None]") -> None:
        """Its token; so it is answered, where that is all that it has to wait for."""
        way, connection = self._way, self._connection
        known = self._begin()
        if not token.cancelled() and token.exception() is None and not connection.paused:
            try:
                answer = way.endpoint.try_sync(self.asked, known.log)
            except Exception:  # noqa: BLE001  it is logged
                answer = Answer(INTERNAL, JSON, way.journal.failed(known))
            if answer is not None:
                self._tell(answer, known)
                way.journal.end(known)
                return
        self._start(known)

    def _start(self, known: RequestRecord | None = None) -> None:
        tasks = self._connection.tasks
        task = self._connection.loop.create_task(self._run(known))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def _begin(self) -> RequestRecord:
        return self._way.journal.begin(self.given_id, "POST", PATH, self._address)

    async def _run(self, known: RequestRecord | None) -> None:
        way, known = self._way, known or self._begin()
        try:
            answer = await way.endpoint.answer(self.asked, known.log)
            assert not isinstance(answer, EventStream)  # noqa: S101  none was asked for
        except Exception:  # noqa: BLE001  it is logged
            answer = Answer(INTERNAL, JSON, way.journal.failed(known))
        await self._connection.drained()
        self._tell(answer, known)
        way.journal.end(known)

    def _tell(self, answer: Answer, known: RequestRecord) -> None:
        self.response_complete = True
        if self.disconnected:
            return
        known.status = answer.status
        told = [
            STATUS_LINE[answer.status],
            b"content-type: %b\r\ncontent-length: %d\r\n%b: %b\r\n"
            % (CONTENT_TYPES[answer.media], len(answer.body), HEADER, known.id),
        ]
        if answer.headers:
            told += [_line(name, value) for name, value in answer.headers.items()]
            self.keep_alive = self.keep_alive and "Connection" not in answer.headers
        self._connection.tell(self, [*told, b"\r\n", answer.body])


def _line(name: str, value: str) -> bytes:
    if name == "Connection":
        return b""
    return f"{name.lower()}: {value}\r\n".encode("latin-1")


class DefaultLines:
    """Those that every answer has: uvicorn makes new ones every second, for their date."""

    def __init__(self) -> None:
        self._headers: Headers = ()
        self._lines = b""

    def of(self, headers: Headers) -> bytes:
        if headers is not self._headers:
            self._headers = headers
            self._lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        return self._lines
