"""Responses of the REST routes: JSON with an HTTP status."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from graphql import ExecutionResult
from starlette.responses import Response

from domain.errors import ErrorCode, InputError, RollcallError
from schema.engine.documents import BadDocument
from schema.routes.routes import Route
from server.graphql.responses import check_size, encode_json, format_exception, shortened
from server.http.body import JSON, BadRequest
from server.http.errors import RESPONSES

NOT_FOUND = {
    "code": ErrorCode.NOT_FOUND,
    "field": None,
    "message": "Not found, or not visible for this token.",
}

Named = Callable[[str | None], str | None]


def result_response(route: Route, result: ExecutionResult) -> Response:
    """Respond with the value of the route's field; for a mutation, its payload without `errors`.

    Raises BadDocument if the result of a query is too large.
    """
    named = route.parameters.parameter_path
    for error in result.errors or ():
        return error_response(error.original_error or error, named)
    value = (result.data or {})[route.key]
    if value is None:
        return _failed(RESPONSES[ErrorCode.NOT_FOUND].status, [NOT_FOUND])
    if route.is_mutation:
        errors = value.pop("errors")
        if errors:
            status = RESPONSES[errors[0]["code"]].status
            return _failed(status, [_renamed(each, named) for each in errors])
    response = _json(200, value)
    if not route.is_mutation:
        check_size(response.body)
    return response


def error_response(error: BaseException, named: Named) -> Response:
    """`named`: returns the caller's name of an input field."""
    match error:
        case BadRequest():
            headers = error.headers
            return _failed(error.status, [_entry(error.code, error.message)], headers)
        case BadDocument():
            code = error.code if error.code == "OVER_LIMIT" else ErrorCode.INVALID
            entries = [_entry(code, shortened(each.message)) for each in error.errors]
            return _failed(RESPONSES[code].status, entries)
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
