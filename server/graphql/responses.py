"""Bodies of GraphQL responses: results, and errors with a code. Of bugs, clients get an id only."""

import json
import logging
import secrets
from collections.abc import Mapping, Sequence, Sized
from typing import Any

import orjson
from graphql import ExecutionResult, GraphQLError, OperationType

from domain.errors import InputError, RollcallError
from schema.engine.documents import BAD_DOCUMENT, BadDocument
from schema.engine.operation import Operation
from server.http.errors import internal_error

log = logging.getLogger("rollcall.graphql")

# Of a query. The limit of cost allows such a result only if its values are long.
MAX_RESULT_BYTES = 262_144
# Characters of an error message, which may quote what the client sent.
MAX_MESSAGE = 300


def result_body(result: ExecutionResult, max_errors: int) -> dict[str, Any]:
    """Return a GraphQL response with `data`, and with `errors` if there are any."""
    body: dict[str, Any] = {"data": result.data}
    if result.errors:
        body = {"errors": format_errors(result.errors, max_errors), **body}
    return body


def encode_result(result: ExecutionResult, max_errors: int, operation: Operation) -> bytes:
    """Encode a GraphQL response. Raises BadDocument if the result of a query is too large.

    The schema may have any size.
    """
    data = encode_json(result_body(result, max_errors))
    if operation.type is OperationType.QUERY and not operation.plan.introspects:
        check_size(data)
    return data


def check_size(data: Sized) -> None:
    """Raises BadDocument if the result of a query is too large."""
    if len(data) > MAX_RESULT_BYTES:
        text = f"The result has more than {MAX_RESULT_BYTES} bytes: ask for fewer rows or fields."
        raise BadDocument(GraphQLError(text, extensions={"code": "OVER_LIMIT"}))


def format_errors(errors: Sequence[GraphQLError], max_errors: int) -> list[dict[str, Any]]:
    formatted = [format_error(error) for error in errors[:max_errors]]
    if len(errors) > max_errors:
        formatted.append({"message": f"And {len(errors) - max_errors} more errors."})
    return formatted


def format_error(error: GraphQLError) -> dict[str, Any]:
    cause = error.original_error
    if cause is None or isinstance(cause, GraphQLError):
        formatted = {**error.formatted, "message": shortened(error.message)}
        return {"extensions": {"code": BAD_DOCUMENT}, **formatted}
    place = {key: value for key, value in error.formatted.items() if key in ("locations", "path")}
    return {**format_exception(cause), **place}


def format_exception(error: BaseException) -> dict[str, Any]:
    """Return an entry of `errors`. The text of a bug is only logged, with the id of the entry."""
    match error:
        case BadDocument():
            return format_error(error.errors[0])
        case InputError():
            problems = [{"field": p.field, "message": p.message} for p in error.problems]
            return _entry(str(error), error.code, problems=problems)
        case RollcallError():
            return _entry(str(error), error.code)
        case bug:
            id = secrets.token_hex(6)
            log.error("Error %s", id, exc_info=bug)
            return internal_error(id)


def rollcall_errors(result: ExecutionResult) -> list[RollcallError]:
    """Return the errors that may determine the HTTP status."""
    errors = result.errors or ()
    return [e.original_error for e in errors if isinstance(e.original_error, RollcallError)]


def failure_body(message: str, code: str) -> dict[str, Any]:
    """Return a response without `data`: the request was not executed."""
    return {"errors": [_entry(message, code)]}


def encode_json(body: Mapping[str, Any]) -> bytes:
    """Encode as JSON in UTF-8."""
    try:
        return orjson.dumps(body)
    except TypeError:
        # A client sent a lone surrogate or a number of more than 64 bits, which orjson refuses.
        return json.dumps(body, separators=(",", ":")).encode()


def shortened(message: str) -> str:
    return message if len(message) <= MAX_MESSAGE else f"{message[: MAX_MESSAGE - 3]}..."


def _entry(message: str, code: str, **more: Any) -> dict[str, Any]:
    return {"message": shortened(message), "extensions": {"code": code, **more}}
