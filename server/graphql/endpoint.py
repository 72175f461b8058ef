"""GraphQL over HTTP: `/graphql` for queries and mutations, and for streams of events."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from graphql import ExecutionResult, OperationType
from starlette.requests import Request as HTTPRequest
from starlette.responses import Response

from domain.access.caller import Caller
from domain.devices.device import DeviceRecord
from domain.errors import RollcallError
from resolvers.access.authenticate import Credential, identify
from schema.engine.documents import BadDocument
from schema.engine.execution import Operation, Request
from server.graphql.outcomes import describe_error, describe_result, error_label
from server.graphql.request import EVENTS, GRAPHQL, media_type, read_request, takes_events
from server.graphql.responses import (
    causes,
    encode_json,
    failure_body,
    format_errors,
    format_exception,
    result_body,
)
from server.graphql.service import GraphQLService
from server.graphql.sse import EventStream
from server.http.body import JSON, BadRequest
from server.http.errors import RESPONSES

BODY_SECONDS = 20
TOO_SLOW = BadRequest(
    408, f"Send the body within {BODY_SECONDS} seconds.", headers={"Connection": "close"}
)


@dataclass(slots=True)
class GraphQLHTTPRequest:
    """A GraphQL request, and what of its HTTP request matters for the answer.

    `media`: the type that the client likes best; `events`: whether it takes a stream of them, too;
    `presented`: its token, if it is being looked up already; `accepted`: what follows from it, if
    that was made out already.
    """

    request: Request
    method: str
    media: str
    events: bool
    authorization: str | None
    address: str | None
    credential: Credential | None = None
    accepted: "PreparedRequest | None" = None


class PreparedRequest(NamedTuple):
    """What is executed, and for whom; `own`: the device whose token it is, if it was just read."""

    caller: Caller
    own: DeviceRecord | None
    operation: Operation
    media: str


class Answer(NamedTuple):
    status: int
    media: str
    body: bytes
    headers: Mapping[str, str] | None = None


class GraphQLEndpoint:
    """Answers any request with a status and a body of the GraphQL-over-HTTP specification.

    401 for a token that is not valid, 429 over a rate, 503 while the database is away.
    """

    def __init__(self, service: GraphQLService) -> None:
        self.service = service
        self._most_errors = service.settings.limits.errors

    async def __call__(self, http: HTTPRequest) -> Response:
        media = media_type(http.headers.get("accept"))
        try:
            asked = await self._asked(http, media)
        except BadRequest as wrong:
            answer: Answer | EventStream = self.refusal(
                wrong, _without_events(media), http.state.log
            )
        else:
            answer = await self.answer(asked, http.state.log)
        if isinstance(answer, EventStream):
            return answer
        return Response(
            answer.body,
            answer.status,
            answer.headers,
            media_type=f"{answer.media}; charset=utf-8",
        )

    def try_sync(self, asked: GraphQLHTTPRequest, log: dict[str, Any]) -> Answer | None:
        """As `answer`, where its token is found and there is nothing else to wait for. None, and
        nothing is executed, for all else: `answer` goes on from here.
        """
        service = self.service
        if asked.credential is None:
            return None
        try:
            found = service.resolve_if_confirmed(asked.credential, asked.address)
            if found is None:
                return None
            asked.accepted = accepted = self._accepted(asked, *found, log)
            data = service.try_sync(accepted.operation, accepted.caller, accepted.own)
        except (RollcallError, BadRequest, BadDocument) as error:
            return self.refusal(error, _without_events(asked.media), log)
        if data is None:
            return None
        log["outcome"] = "ok"
        return Answer(200, accepted.media, encode_json({"data": data}))

    async def answer(self, asked: GraphQLHTTPRequest, log: dict[str, Any]) -> Answer | EventStream:
        """`log` gets what is known of the request: `operation`, `actor`, `outcome`, `error`."""
        try:
            return await self._answer(asked, log)
        except (RollcallError, BadRequest, BadDocument) as error:
            return self.refusal(error, _without_events(asked.media), log)

    async def _asked(self, http: HTTPRequest, media: str | None) -> GraphQLHTTPRequest:
        if media is None:
            raise BadRequest(406, f"Accept {GRAPHQL}, {JSON} or {EVENTS}.")
        try:
            async with asyncio.timeout(BODY_SECONDS):
                request = await read_request(http, self.service.settings.max_body_bytes)
        except TimeoutError:
            raise TOO_SLOW from None
        return GraphQLHTTPRequest(
            request,
            http.method,
            media,
            takes_events(http.headers.get("accept")),
            http.headers.get("authorization"),
            http.client.host if http.client else None,
        )

    async def _answer(self, asked: GraphQLHTTPRequest, log: dict[str, Any]) -> Answer | EventStream:
        service, accepted = self.service, asked.accepted
        if accepted is None:
            credential = asked.credential or service.look_up(asked.authorization)
            found = await identify(service.services(), credential, asked.address)
            accepted = self._accepted(asked, *found, log)
        operation, caller = accepted.operation, accepted.caller
        if accepted.media == EVENTS:
            service.connections.check(caller)
            return EventStream(service, operation, caller)
        log["outcome"] = "failed"
        result, log["outcome"] = await service.run(operation, caller, accepted.own)
        if log["outcome"] != "ok":
            log["error"] = describe_result(result)
        return self._told(result, accepted.media)

    def _accepted(
        self,
        asked: GraphQLHTTPRequest,
        caller: Caller,
        own: DeviceRecord | None,
        log: dict[str, Any],
    ) -> PreparedRequest:
        """Raises BadDocument, Forbidden or BadRequest."""
        media, operation = asked.media, self.service.prepare(asked.request, caller)
        if operation.type is OperationType.SUBSCRIPTION and asked.events:
            media = EVENTS
        _check_method(operation, asked.method, media)
        log["operation"], log["actor"] = operation.label, caller
        return PreparedRequest(caller, own, operation, media)

    def refusal(
        self, error: RollcallError | BadRequest | BadDocument, media: str, log: dict[str, Any]
    ) -> Answer:
        """For a request that was not executed."""
        log["outcome"], log["error"] = error_label(error), describe_error(error)
        match error:
            case BadRequest():
                body = failure_body(error.message, error.code)
                return Answer(error.status, media, encode_json(body), error.headers)
            case BadDocument():
                body = {"errors": format_errors(error.errors, self._most_errors)}
                response = RESPONSES[error.code]
                status = response.graphql_status(media)
                return Answer(status, media, encode_json(body), response.headers)
            case _:
                return _failed({"errors": [format_exception(error)]}, error, media)

    def _told(self, result: ExecutionResult, media: str) -> Answer:
        body = result_body(result, self._most_errors)
        if result.errors:
            for cause in causes(result):
                if RESPONSES[cause.code].retry_after:
                    return _failed(body, cause, media)
        return Answer(200, media, encode_json(body))


def _without_events(media: str | None) -> str:
    return GRAPHQL if media == GRAPHQL else JSON


def _check_method(operation: Operation, method: str, media: str) -> None:
    if operation.type is OperationType.MUTATION and method != "POST":
        raise BadRequest(405, "Send mutations by POST.", headers={"Allow": "POST"})
    if operation.type is OperationType.SUBSCRIPTION and media != EVENTS:
        raise BadRequest(
            406,
            f"Follow a subscription over WebSocket, or with `Accept: {EVENTS}`.",
        )


def _failed(body: Mapping[str, Any], error: RollcallError, media: str) -> Answer:
    response = RESPONSES[error.code]
    status = response.graphql_status(media)
    return Answer(status, media, encode_json(body), response.headers_for(error))
