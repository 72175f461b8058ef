"""What a caller of a route is told: JSON, and a status that says what it is."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from graphql import ExecutionResult
from starlette.responses import Response

from domain.errors import ErrorCode, InputError, RollcallError
from schema.engine.documents import BadDocument
from schema.routes.routes import Route
from server.graphql.responses import encode_json, format_exception
from server.http.body import JSON, BadRequest
from server.http.errors import RESPONSES

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
        return _failed(RESPONSES[ErrorCode.NOT_FOUND].status, [NOTHING])
    if route.changes:
        errors = value.pop("errors")
        if errors:
            status = RESPONSES[errors[0]["code"]].status
            return _failed(status, [_renamed(each, named) for each in errors])
    return _json(200, value)


def refused(error: BaseException, named: Named) -> Response:
    """`named`: what the caller calls a field of the input."""
    match error:
        case BadRequest():
            headers = error.headers
            return _failed(error.status, [_entry(error.code, error.message)], headers)
        case BadDocument():
            entries = [_entry(ErrorCode.INVALID, each.message) for each in error.errors]
            return _failed(RESPONSES[ErrorCode.INVALID].status, entries)
        case RollcallError():
            response = RESPONSES[error.code]
            return _failed(response.status, _entries(error, named), response.headers_for(error))
        case bug:
            message = format_exception(bug)["message"]
            return _failed(RESPONSES["INTERNAL"].status, [_entry("INTERNAL", message)])


def _entries(error: RollcallError, named: Named) -> list[Mapping[str, Any]]:
    if isinstance(error, InputError):
        return [
            {"code": each.code, "field": named(each.field), "message": each.message}
            for each in error.problems
        ]
    return [_entry(error.code, str(error))]


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
    return Response(encode_json(body), status, headers, media_type=JSON)
