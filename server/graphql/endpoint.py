"""GraphQL over HTTP: `/graphql` for queries, mutations and streams of server-sent events."""

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
from schema.engine.operation import Operation, Request
from server.graphql.outcomes import describe_error, describe_result, error_label
from server.graphql.request import EVENTS, GRAPHQL, media_type, read_request, takes_events
from server.graphql.responses import (
    encode_json,
    encode_result,
    failure_body,
    format_errors,
    format_exception,
    result_body,
    rollcall_errors,
)
from server.graphql.service import GraphQLService
from server.graphql.sse import EventStream
from server.http.body import JSON, BadRequest
from server.http.errors import RESPONSES


@dataclass(slots=True)
class GraphQLHTTPRequest:
    """A GraphQL request, and the parts of its HTTP request that determine the response.

    `media`: the media type that the client prefers. `events`: whether it accepts a stream of
    events. `credential`: its token, if it is being looked up already. `prepared`: set once the
    request is authenticated and its document is valid.
    """

    request: Request
    method: str
    media: str
    events: bool
    authorization: str | None
    address: str | None
    credential: Credential | None = None
    prepared: "PreparedRequest | None" = None


class PreparedRequest(NamedTuple):
    """An operation and its caller. `device`: the caller's own device, if it was just read."""

    caller: Caller
    device: DeviceRecord | None
    operation: Operation
    media: str


class EncodedResponse(NamedTuple):
    status: int
    media: str
    body: bytes
    headers: Mapping[str, str] | None = None


class GraphQLEndpoint:
    """Responds to any request with a status and body by the GraphQL-over-HTTP specification.

    401 for an invalid token, 429 over a rate limit, 503 while the database is not available.
    """

    def __init__(self, service: GraphQLService) -> None:
        self.service = service
        self._max_errors = service.settings.limits.errors

    async def __call__(self, http: HTTPRequest) -> Response:
        media = media_type(http.headers.get("accept"))
        try:
            request = await self._read(http, media)
        except BadRequest as error:
            response: EncodedResponse | EventStream = self.error_response(
                error, _without_events(media), http.state.log
            )
        else:
            response = await self.respond(request, http.state.log)
        if isinstance(response, EventStream):
            return response
        return Response(
            response.body,
            response.status,
            response.headers,
            media_type=f"{response.media}; charset=utf-8",
        )

    def try_sync(self, request: GraphQLHTTPRequest, log: dict[str, Any]) -> EncodedResponse | None:
        """As `respond`, if the token is found and there is nothing else to wait for.

        Otherwise return None, with nothing executed; `respond` continues from there.
        """
        service = self.service
        if request.credential is None:
            return None
        try:
            found = service.resolve_if_confirmed(request.credential, request.address)
            if found is None:
                return None
            operation = service.prepare_known(request.request, found[0])
            if operation is None:
                return None
            request.prepared = prepared = _prepared(request, *found, operation, log)
            data = service.try_sync(prepared.operation, prepared.caller, prepared.device)
        except (RollcallError, BadRequest, BadDocument) as error:
            return self.error_response(error, _without_events(request.media), log)
        if data is None:
            return None
        log["outcome"] = "ok"
        return EncodedResponse(200, prepared.media, encode_json({"data": data}))

    async def respond(
        self, request: GraphQLHTTPRequest, log: dict[str, Any]
    ) -> EncodedResponse | EventStream:
        """Adds `operation`, `actor`, `outcome` and `error` to `log`."""
        try:
            return await self._execute(request, log)
        except (RollcallError, BadRequest, BadDocument) as error:
            return self.error_response(error, _without_events(request.media), log)

    async def _read(self, http: HTTPRequest, media: str | None) -> GraphQLHTTPRequest:
        if media is None:
            raise BadRequest(406, f"Accept {GRAPHQL}, {JSON} or {EVENTS}.")
        request = await read_request(http, self.service.settings.max_body_bytes)
        return GraphQLHTTPRequest(
            request,
            http.method,
            media,
            takes_events(http.headers.get("accept")),
            http.headers.get("authorization"),
            http.client.host if http.client else None,
        )

    async def _execute(
        self, request: GraphQLHTTPRequest, log: dict[str, Any]
    ) -> EncodedResponse | EventStream:
        service, prepared = self.service, request.prepared
        if prepared is None:
            credential = request.credential or service.look_up(request.authorization)
            found = await identify(service.services(), credential, request.address)
            operation = await service.prepare(request.request, found[0])
            prepared = _prepared(request, *found, operation, log)
        operation, caller = prepared.operation, prepared.caller
        if prepared.media == EVENTS:
            service.connections.check(caller)
            return EventStream(service, operation, caller)
        log["outcome"] = "failed"
        result, log["outcome"] = await service.run(operation, caller, prepared.device)
        if log["outcome"] != "ok":
            log["error"] = describe_result(result)
        return self._response_for(result, prepared)

    def error_response(
        self, error: RollcallError | BadRequest | BadDocument, media: str, log: dict[str, Any]
    ) -> EncodedResponse:
        """For a request that was not executed."""
        log["outcome"], log["error"] = error_label(error), describe_error(error)
        match error:
            case BadRequest():
                body = failure_body(error.message, error.code)
                return EncodedResponse(error.status, media, encode_json(body), error.headers)
            case BadDocument():
                body = {"errors": format_errors(error.errors, self._max_errors)}
                response = RESPONSES[error.code]
                status = response.graphql_status(media)
                return EncodedResponse(status, media, encode_json(body), response.headers)
            case _:
                return _failed({"errors": [format_exception(error)]}, error, media)

    def _response_for(self, result: ExecutionResult, prepared: PreparedRequest) -> EncodedResponse:
        """Raises BadDocument if the result is too large."""
        media = prepared.media
        if result.errors:
            for error in rollcall_errors(result):
                if RESPONSES[error.code].retry_after:
                    return _failed(result_body(result, self._max_errors), error, media)
        body = encode_result(result, self._max_errors, prepared.operation)
        return EncodedResponse(200, media, body)


def _prepared(
    request: GraphQLHTTPRequest,
    caller: Caller,
    device: DeviceRecord | None,
    operation: Operation,
    log: dict[str, Any],
) -> PreparedRequest:
    """Raises BadRequest if the operation can't be executed by this HTTP request."""
    media = request.media
    if operation.type is OperationType.SUBSCRIPTION and request.events:
        media = EVENTS
    _check_method(operation, request.method, media)
    log["operation"], log["actor"] = operation.label, caller
    return PreparedRequest(caller, device, operation, media)


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


def _failed(body: Mapping[str, Any], error: RollcallError, media: str) -> EncodedResponse:
    response = RESPONSES[error.code]
    status = response.graphql_status(media)
    return EncodedResponse(status, media, encode_json(body), response.headers_for(error))
