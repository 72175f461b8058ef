"""GraphQL over HTTP: `/graphql` for queries and mutations, and for streams of events."""

import asyncio
from collections.abc import Mapping
from typing import Any

from graphql import ExecutionResult, OperationType
from starlette.requests import Request as HTTPRequest
from starlette.responses import Response

from domain.errors import RollcallError, TimedOut, TooMany, Unauthenticated, Unavailable
from schema.documents import BadDocument
from schema.execution import Operation
from server.graphql.answers import (
    causes,
    encoded,
    failure_body,
    result_body,
    told_errors,
    told_exception,
)
from server.graphql.asked import (
    EVENTS,
    GRAPHQL,
    JSON,
    Wrong,
    media_type,
    read_request,
    takes_events,
)
from server.graphql.events import EventStream
from server.graphql.service import Service

BODY_SECONDS = 20


class GraphQLEndpoint:
    """Answers any request with a status and a body of the GraphQL-over-HTTP specification.

    401 for a token that is not valid, 429 over a rate, 503 while the database is away.
    """

    def __init__(self, service: Service) -> None:
        self.service = service

    async def __call__(self, http: HTTPRequest) -> Response:
        media = media_type(http.headers.get("accept"))
        try:
            return await self._answer(http, media)
        except (RollcallError, Wrong, BadDocument) as error:
            return self._refusal(error, GRAPHQL if media == GRAPHQL else JSON)

    async def _answer(self, http: HTTPRequest, media: str | None) -> Response:
        if media is None:
            raise Wrong(406, f"Accept {GRAPHQL}, {JSON} or {EVENTS}.")
        try:
            async with asyncio.timeout(BODY_SECONDS):
                request = await read_request(http, self.service.settings.max_body_bytes)
        except TimeoutError:
            raise Wrong(
                408,
                f"Send the body within {BODY_SECONDS} seconds.",
                headers={"Connection": "close"},
            ) from None
        address = http.client.host if http.client else None
        caller = await self.service.caller(http.headers.get("authorization"), address)
        operation = self.service.prepare(request, caller)
        follows = operation.type is OperationType.SUBSCRIPTION
        if follows and takes_events(http.headers.get("accept")):
            media = EVENTS
        _check_method(operation, http.method, media)
        known = {"operation": operation.label, "actor": caller.actor}
        http.state.log.update(known)
        if media == EVENTS:
            self.service.connections.check(caller)
            return EventStream(self.service, operation, caller)
        http.state.log["outcome"] = "failed"
        result, outcome = await self.service.run(operation, caller)
        http.state.log["outcome"] = outcome
        return self._told(result, media)

    def _refusal(self, error: RollcallError | Wrong | BadDocument, media: str) -> Response:
        """For a request that was not executed."""
        match error:
            case Wrong():
                body = failure_body(error.message, error.code)
                return _response(body, error.status, media, error.headers)
            case BadDocument():
                body = {"errors": told_errors(error.errors, self.service.settings.limits.errors)}
                return _response(body, 400 if media == GRAPHQL else 200, media)
            case _:
                return _response({"errors": [told_exception(error)]}, *_status(error, media))

    def _told(self, result: ExecutionResult, media: str) -> Response:
        body = result_body(result, self.service.settings.limits.errors)
        for cause in causes(result):
            if isinstance(cause, (TooMany, Unavailable)):
                return _response(body, *_status(cause, media))
        return _response(body, 200, media)


def _check_method(operation: Operation, method: str, media: str) -> None:
    if operation.type is OperationType.MUTATION and method != "POST":
        raise Wrong(405, "Send mutations by POST.", headers={"Allow": "POST"})
    if operation.type is OperationType.SUBSCRIPTION and media != EVENTS:
        raise Wrong(
            406,
            f"Follow a subscription over WebSocket, or with `Accept: {EVENTS}`.",
        )


def _status(error: RollcallError, media: str) -> tuple[int, str, dict[str, str] | None]:
    match error:
        case TooMany() | Unavailable():
            status = 429 if isinstance(error, TooMany) else 503
            return status, media, {"Retry-After": str(error.retry_after_seconds)}
        case Unauthenticated():
            return 401, media, {"WWW-Authenticate": "Bearer"}
        case TimedOut():
            return 503, media, None
        case _:
            return 403, media, None


def _response(
    body: Mapping[str, Any], status: int, media: str, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(encoded(body), status, headers, media_type=f"{media}; charset=utf-8")
