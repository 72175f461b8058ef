"""GraphQL over HTTP: one endpoint, JSON in and JSON out."""

import json
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError
from starlette.requests import Request
from starlette.responses import Response
from strawberry.schema.exceptions import InvalidOperationTypeError
from strawberry.types.graphql import OperationType

from domain.errors import AccessError, InputError, Unauthenticated, Unavailable
from resolvers.authentication import authenticate
from schema.build import Schema
from schema.context import Context
from server.keeper import DatabaseKeeper

log = logging.getLogger("rollcall.graphql")

MAX_BODY_BYTES = 1_000_000
QUERIES = frozenset({OperationType.QUERY})
ALL = frozenset({OperationType.QUERY, OperationType.MUTATION})


class BadRequest(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Operation:
    query: str
    variables: dict[str, Any] | None
    name: str | None
    allowed: frozenset[OperationType]


class GraphQLEndpoint:
    """Answers with 401 for a token that is not valid and 503 while the database is away."""

    def __init__(self, schema: Schema, keeper: DatabaseKeeper) -> None:
        self.schema = schema
        self.keeper = keeper

    async def __call__(self, request: Request) -> Response:
        try:
            return await self._answer(request)
        except BadRequest as error:
            return _failure(error.status, str(error), "BAD_REQUEST")
        except InvalidOperationTypeError:
            return _failure(405, "Send mutations by POST.", "BAD_REQUEST", {"Allow": "POST"})
        except Unauthenticated as error:
            return _failure(401, str(error), error.code, {"WWW-Authenticate": "Bearer"})
        except Unavailable as error:
            return _unavailable(error)

    async def _answer(self, request: Request) -> Response:
        operation = await _operation(request)
        desk = self.keeper.desk
        if desk is None:
            raise Unavailable("The database is not available; try again soon.")
        caller = await authenticate(desk, _bearer(request))
        result = await self.schema.execute(
            operation.query,
            variable_values=operation.variables,
            operation_name=operation.name,
            context_value=Context(desk, caller),
            allowed_operation_types=operation.allowed,
        )
        body: dict[str, Any] = {"data": result.data}
        if result.errors:
            body = {"errors": [_formatted(error) for error in result.errors], **body}
        away = any(isinstance(e.original_error, Unavailable) for e in result.errors or ())
        return _json(body, 503 if away else 200, _come_back(Unavailable) if away else None)


async def _operation(request: Request) -> Operation:
    allowed = ALL
    if request.method == "GET":
        values: dict[str, Any] = dict(request.query_params)
        if "variables" in values:
            values["variables"] = _parsed(values["variables"], "variables")
        allowed = QUERIES
    else:
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            raise BadRequest(415, "Send Content-Type: application/json.")
        values = _parsed(await _body(request), "The body")
    if not isinstance(values, dict):
        raise BadRequest(400, "The body must be a JSON object with a `query`.")
    query, variables, name = (values.get(key) for key in ("query", "variables", "operationName"))
    if not isinstance(query, str):
        raise BadRequest(400, "`query` must be a string: the GraphQL document.")
    if not isinstance(variables, dict | None):
        raise BadRequest(400, "`variables` must be a JSON object.")
    if not isinstance(name, str | None):
        raise BadRequest(400, "`operationName` must be a string.")
    return Operation(query, variables, name, allowed)


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise BadRequest(413, f"The body may have {MAX_BODY_BYTES} bytes at most.")
    return bytes(body)


def _parsed(text: bytes | str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise BadRequest(400, f"{what} is not valid JSON.") from None


def _bearer(request: Request) -> str | None:
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, secret = header.partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthenticated("Send `Authorization: Bearer <token>`.")
    return secret.strip()


def _formatted(error: GraphQLError) -> dict[str, Any]:
    """What a client may know of an error. The text of a bug goes to the log only, under an id."""
    told: dict[str, Any] = {**error.formatted}
    match error.original_error:
        case None:
            pass
        case AccessError() | Unavailable() as known:
            told["extensions"] = {"code": known.code}
        case InputError() as mistake:
            fields = [{"field": p.field, "message": p.message} for p in mistake.problems]
            told["extensions"] = {"code": mistake.problems[0].code, "problems": fields}
        case GraphQLError():
            pass
        case bug:
            id = secrets.token_hex(6)
            log.error("Error %s at %s", id, error.path, exc_info=bug)
            told["message"] = f"Internal error {id}: it has been logged."
            told["extensions"] = {"code": "INTERNAL", "id": id}
    return told


def _failure(
    status: int, message: str, code: str, headers: Mapping[str, str] | None = None
) -> Response:
    return _json({"errors": [{"message": message, "extensions": {"code": code}}]}, status, headers)


def _unavailable(error: Unavailable) -> Response:
    return _failure(503, str(error), error.code, _come_back(error))


def _come_back(error: Unavailable | type[Unavailable]) -> dict[str, str]:
    return {"Retry-After": str(error.retry_after_seconds)}


def _json(body: Any, status: int, headers: Mapping[str, str] | None = None) -> Response:
    text = json.dumps(body, separators=(",", ":"))
    return Response(text, status, headers, media_type="application/json")
