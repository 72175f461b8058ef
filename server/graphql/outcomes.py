"""Outcome labels of operations for the metrics, and error descriptions for the access log."""

import re
from collections.abc import Iterator

from graphql import ExecutionResult, GraphQLError

from domain.errors import ErrorCode, InputError, RollcallError, Unauthenticated
from schema.engine.documents import BAD_DOCUMENT, BadDocument
from server.http.body import BadRequest

# The log shows at most this many codes of a request.
MAX_CODES = 5
CODES = frozenset(map(str, ErrorCode))
FIELD = re.compile(r"[A-Za-z.]{1,60}")


def outcome_label(result: ExecutionResult) -> str:
    """Return `ok`, `refused` (invalid input), `failed` (a bug), or the code of an error."""
    for error in result.errors or ():
        cause = error.original_error
        return error_label(cause) if isinstance(cause, RollcallError) else "failed"
    for payload in (result.data or {}).values():
        if isinstance(payload, dict) and payload.get("errors"):
            return "refused"
    return "ok"


def error_label(error: RollcallError | BadRequest | BadDocument) -> str:
    """Return `refused` (invalid input), or the code of the error."""
    refused = isinstance(error, InputError) or not isinstance(error, RollcallError)
    return "refused" if refused else error.code


def describe_result(result: ExecutionResult) -> str:
    """Return codes and field names of the errors, without values: `CONFLICT expectedVersion`."""
    return _join(_codes_of_result(result))


def describe_error(error: BaseException) -> str:
    """As `describe_result`. For an invalid token, also the reason."""
    return _join(_codes_of_error(error))


def _join(codes: Iterator[str]) -> str:
    distinct = list(dict.fromkeys(codes))
    more = [f"and {len(distinct) - MAX_CODES} more"] if len(distinct) > MAX_CODES else []
    return ", ".join(distinct[:MAX_CODES] + more)


def _codes_of_result(result: ExecutionResult) -> Iterator[str]:
    for error in result.errors or ():
        yield from _codes_of_error(error.original_error or error)
    for payload in (result.data or {}).values():
        if isinstance(payload, dict):
            for problem in payload.get("errors") or ():
                yield _code_and_field(problem.get("code"), problem.get("field"))


def _code_and_field(code: object, field: object) -> str:
    """Replace an unknown code, and omit a field that may hold a client's text.

    Clients can put their own text there by an alias, or as the name of an unknown field.
    """
    shown = str(code) if code in CODES else "refused"
    named = isinstance(field, str) and FIELD.fullmatch(field)
    return f"{shown} {field}" if named else shown


def _codes_of_error(error: BaseException) -> Iterator[str]:
    match error:
        case InputError():
            for problem in error.problems:
                yield _code_and_field(problem.code, problem.field)
        case Unauthenticated():
            # Its text is one of a fixed set, without parts of the request.
            yield f"{error.code} {error}"
        case RollcallError() | BadRequest() | BadDocument():
            yield error.code
        case GraphQLError():
            yield BAD_DOCUMENT
        case _:
            yield "INTERNAL"
