"""The bodies of GraphQL answers: results, errors with a code, and of bugs nothing but an id."""

import json
import logging
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from graphql import ExecutionResult, GraphQLError

from domain.errors import InputError, RollcallError
from schema.engine.documents import BAD_DOCUMENT, BadDocument
from server.http.errors import internal_error

log = logging.getLogger("rollcall.graphql")


def result_body(result: ExecutionResult, most_errors: int) -> dict[str, Any]:
    """A GraphQL response with `data`, and with `errors` where there are any."""
    body: dict[str, Any] = {"data": result.data}
    if result.errors:
        body = {"errors": format_errors(result.errors, most_errors), **body}
    return body


def format_errors(errors: Sequence[GraphQLError], most: int) -> list[dict[str, Any]]:
    formatted = [format_error(error) for error in errors[:most]]
    if len(errors) > most:
        formatted.append({"message": f"And {len(errors) - most} errors more."})
    return formatted


def format_error(error: GraphQLError) -> dict[str, Any]:
    cause = error.original_error
    if cause is None or isinstance(cause, GraphQLError):
        return {"extensions": {"code": BAD_DOCUMENT}, **error.formatted}
    placed = {key: value for key, value in error.formatted.items() if key in ("locations", "path")}
    return {**format_exception(cause), **placed}


def format_exception(error: BaseException) -> dict[str, Any]:
    """One entry of `errors`. The text of a bug goes to the log only, under the id in the entry."""
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


def causes(result: ExecutionResult) -> list[RollcallError]:
    """What of ours went wrong, for a status that says so."""
    errors = result.errors or ()
    return [e.original_error for e in errors if isinstance(e.original_error, RollcallError)]


def failure_body(message: str, code: str) -> dict[str, Any]:
    """A response without `data`: the request was not executed."""
    return {"errors": [_entry(message, code)]}


def encode_json(body: Mapping[str, Any]) -> bytes:
    """JSON in UTF-8."""
    try:
        return orjson.dumps(body)
    except TypeError:
        # It has half of a surrogate pair, from whoever sent one, or a huge number.
        return json.dumps(body, separators=(",", ":")).encode()


def _entry(message: str, code: str, **more: Any) -> dict[str, Any]:
    return {"message": message, "extensions": {"code": code, **more}}
