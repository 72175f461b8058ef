"""What a caller of a route is told: JSON, and a status that says what it is."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from graphql import ExecutionResult
from starlette.responses import Response

from domain.errors import (
    AccessError,
    ErrorCode,
    InputError,
    RollcallError,
    TimedOut,
    TooMany,
    Unauthenticated,
    Unavailable,
)
from schema.engine.documents import BadDocument
from schema.routes.routes import Route
from server.graphql.responses import encoded, told_exception
from server.http.body import JSON, Wrong

STATUSES = {
    ErrorCode.INVALID: 422,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.CONFLICT: 409,
    ErrorCode.NOT_ALLOWED: 403,
    ErrorCode.USED_UP: 403,
}
NOTHING = {
    "code": ErrorCode.NOT_FOUND,
    "field": None,
    "message": "There is no such thing, or not for this token.",
}

Named = Callable[[str | None], str | None]


def told(route: Route, result: ExecutionResult) -> Response:
    """The value of the route's field; of a mutation, its payload without `errors`."""
    named = route.parameters.named
    for error in result.errors or ():
        return refused(error.original_error or error, named)
    value = (result.data or {})[route.key]
    if value is None:
        return _failed(404, [NOTHING])
    if route.changes:
        errors = value.pop("errors")
        if errors:
            return _failed(STATUSES[errors[0]["code"]], [_renamed(each, named) for each in errors])
    return _json(200, value)


def refused(error: BaseException, named: Named) -> Response:
    """`named`: what the caller calls a field of the input."""
    match error:
        case Wrong():
            headers = error.headers
            return _failed(error.status, [_entry(error.code, error.message)], headers)
        case BadDocument():
            return _failed(422, [_entry("INVALID", each.message) for each in error.errors])
        case InputError():
            entries = [
                {"code": each.code, "field": named(each.field), "message": each.message}
                for each in error.problems
            ]
            return _failed(STATUSES[error.problems[0].code], entries)
        case RollcallError():
            return _failed(*_of_ours(error))
        case bug:
            about = told_exception(bug)
            return _failed(500, [_entry("INTERNAL", about["message"])])


def _of_ours(
    error: RollcallError,
) -> tuple[int, Sequence[Mapping[str, Any]], Mapping[str, str] | None]:
    told = [_entry(getattr(error, "code", "INTERNAL"), str(error))]
    match error:
        case TooMany() | Unavailable():
            status = 429 if isinstance(error, TooMany) else 503
            return status, told, {"Retry-After": str(error.retry_after_seconds)}
        case Unauthenticated():
            return 401, told, {"WWW-Authenticate": "Bearer"}
        case TimedOut():
            return 503, told, None
        case AccessError():
            return 403, told, None
    raise error


def _renamed(error: Mapping[str, Any], named: Named) -> Mapping[str, Any]:
    return {**error, "field": named(error["field"])}


def _entry(code: str, message: str) -> Mapping[str, Any]:
    return {"code": code, "field": None, "message": message}


def _failed(
    status: int,
    errors: Sequence[Mapping[str, Any]],
    headers: Mapping[str, str] | None = None,
) -> Response:
    return _json(status, {"errors": errors}, headers)


def _json(
    status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> Response:
    return Response(encoded(body), status, headers, media_type=JSON)
