"""What a client is told: results, mistakes with a code, and of bugs nothing but an id."""

import json
import logging
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from graphql import ExecutionResult, GraphQLError

from domain.errors import (
    AccessError,
    CutOff,
    InputError,
    RollcallError,
    TimedOut,
    TooMany,
    Unavailable,
)
from schema.engine.documents import BadDocument

log = logging.getLogger("rollcall.graphql")


def result_body(result: ExecutionResult, most_errors: int) -> dict[str, Any]:
    """A GraphQL response with `data`, and with `errors` where there are any."""
    body: dict[str, Any] = {"data": result.data}
    if result.errors:
        body = {"errors": told_errors(result.errors, most_errors), **body}
    return body


def told_errors(errors: Sequence[GraphQLError], most: int) -> list[dict[str, Any]]:
    told = [told_error(error) for error in errors[:most]]
    if len(errors) > most:
        told.append({"message": f"And {len(errors) - most} errors more."})
    return told


def told_error(error: GraphQLError) -> dict[str, Any]:
    cause = error.original_error
    if cause is None or isinstance(cause, GraphQLError):
        return {"extensions": {"code": "BAD_DOCUMENT"}, **error.formatted}
    placed = {key: value for key, value in error.formatted.items() if key in ("locations", "path")}
    return {**told_exception(cause), **placed}


def told_exception(error: BaseException) -> dict[str, Any]:
    """One entry of `errors`. The text of a bug goes to the log only, under the id that is told."""
    match error:
        case BadDocument():
            return told_error(error.errors[0])
        case InputError():
            problems = [{"field": p.field, "message": p.message} for p in error.problems]
            return _entry(str(error), error.problems[0].code, problems=problems)
        case AccessError() | CutOff() | TimedOut() | TooMany() | Unavailable():
            return _entry(str(error), error.code)
        case bug:
            id = secrets.token_hex(6)
            log.error("Error %s", id, exc_info=bug)
            return _entry(f"Internal error {id}: it has been logged.", "INTERNAL", id=id)


def outcome_of(result: ExecutionResult) -> str:
    """For metrics and logs: ok, refused (the input), failed (a bug), or the code of an error."""
    for error in result.errors or ():
        cause = error.original_error
        return code_of(cause) if isinstance(cause, RollcallError) else "failed"
    for payload in (result.data or {}).values():
        if isinstance(payload, dict) and payload.get("errors"):
            return "refused"
    return "ok"


def code_of(error: RollcallError) -> str:
    if isinstance(error, InputError):
        return "refused"
    return str(getattr(error, "code", "failed"))


def causes(result: ExecutionResult) -> list[RollcallError]:
    """What of ours went wrong, for a status that says so."""
    errors = result.errors or ()
    return [e.original_error for e in errors if isinstance(e.original_error, RollcallError)]


def failure_body(message: str, code: str) -> dict[str, Any]:
    """A response without `data`: the request was not executed."""
    return {"errors": [_entry(message, code)]}


def encoded(body: Mapping[str, Any]) -> bytes:
    """JSON in UTF-8."""
    try:
        return orjson.dumps(body)
    except TypeError:
        # It has half of a surrogate pair, from whoever sent one, or a huge number.
        return json.dumps(body, separators=(",", ":")).encode()


def _entry(message: str, code: str, **more: Any) -> dict[str, Any]:
    return {"message": message, "extensions": {"code": code, **more}}
