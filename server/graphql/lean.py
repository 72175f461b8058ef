"""The short way to `/graphql`, for what most requests are: a small JSON body by POST.

Straight on ASGI, with nothing that could have been done once. What is unusual about a request is
left to the long way, with what was read of it: so nothing is decided twice.
"""

from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from schema.deadlines import Deadlines
from schema.execution import Request
from server.graphql.asked import GRAPHQL, JSON, Wrong, request_of
from server.graphql.endpoint import BODY_SECONDS, TOO_SLOW, Answer, Asked, GraphQLEndpoint
from server.graphql.events import EventStream
from server.request_id import HEADER, Known, RequestIds

PATH = "/graphql"
JSON_TYPES = frozenset({b"application/json", b"application/json; charset=utf-8"})
MEDIA = {
    b"": JSON,
    b"*/*": JSON,
    b"application/json": JSON,
    b"application/graphql-response+json": GRAPHQL,
}
CONTENT_TYPES = {media: f"{media}; charset=utf-8".encode() for media in (JSON, GRAPHQL)}


class LeanWay:
    """`long_way`: the whole application, whose middleware `ids` is."""

    def __init__(self, endpoint: GraphQLEndpoint, ids: RequestIds, long_way: ASGIApp) -> None:
        self._endpoint = endpoint
        self._ids = ids
        self._long_way = long_way
        self._most = endpoint.service.settings.max_body_bytes
        self._bodies = Deadlines(BODY_SECONDS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        media = MEDIA.get(headers.get(b"accept", b""))
        if (
            media is None
            or scope["method"] != "POST"
            or len(headers) != len(scope["headers"])
            or headers.get(b"content-type") not in JSON_TYPES
            or b"content-encoding" in headers
        ):
            await self._long_way(scope, receive, send)
            return
        try:
            first = await self._bodies.held(receive())
        except TimeoutError:
            known = self._ids.begin(scope, headers.get(HEADER))
            await _tell(send, self._endpoint.refusal(TOO_SLOW, media), known)
            self._ids.end(scope, known)
            return
        request = self._request(first)
        if request is None:
            await self._long_way(scope, _again(first, receive), send)
            return
        authorization, client = headers.get(b"authorization"), scope.get("client")
        asked = Asked(
            request,
            "POST",
            media,
            events=False,
            authorization=authorization.decode("latin-1") if authorization else None,
            address=client[0] if client else None,
        )
        known = self._ids.begin(scope, headers.get(HEADER))
        try:
            answer = await self._endpoint.answer(asked, known.log)
            assert not isinstance(answer, EventStream)  # noqa: S101  none was asked for
            await _tell(send, answer, known)
        except Exception:
            if not await self._ids.told_failure(scope, known, send):
                raise
        finally:
            self._ids.end(scope, known)

    def _request(self, first: Message) -> Request | None:
        """None where the long way has to look at it."""
        if first["type"] != "http.request" or first.get("more_body"):
            return None
        body = first["body"]
        if not 0 < len(body) <= self._most:
            return None
        try:
            values: Any = orjson.loads(body)
        except ValueError:
            return None
        if not isinstance(values, dict):
            return None
        try:
            return request_of(values)
        except Wrong:
            return None


async def _tell(send: Send, answer: Answer, known: Known) -> None:
    known.status = answer.status
    told = [
        (b"content-type", CONTENT_TYPES[answer.media]),
        (b"content-length", b"%d" % len(answer.body)),
        (HEADER, known.id),
    ]
    if answer.headers:
        told += [(n.lower().encode(), v.encode()) for n, v in answer.headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": told})
    await send({"type": "http.response.body", "body": answer.body})


def _again(first: Message, receive: Receive) -> Receive:
    """As if the first message had not been received yet."""
    waiting = [first]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again
