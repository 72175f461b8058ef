"""The result of an operation in one word for metrics, and its errors for the access log."""

import re
from collections.abc import Iterator

from graphql import ExecutionResult, GraphQLError

from domain.errors import ErrorCode, InputError, RollcallError, Unauthenticated
from schema.engine.documents import BAD_DOCUMENT, BadDocument
from server.http.body import BadRequest

# Codes that the log shows of one request.
MOST_CODES = 5
CODES = frozenset(map(str, ErrorCode))
FIELD = re.compile(r"[A-Za-z.]{1,60}")


def outcome_label(result: ExecutionResult) -> str:
    """ok, refused (the input), failed (a bug), or the code of an error."""
    for error in result.errors or ():
        cause = error.original_error
        return error_label(cause) if isinstance(cause, RollcallError) else "failed"
    for payload in (result.data or {}).values():
        if isinstance(payload, dict) and payload.get("errors"):
            return "refused"
    return "ok"


def error_label(error: RollcallError | BadRequest | BadDocument) -> str:
    """Refused (the input), or the code of the error."""
    refused = isinstance(error, InputError) or not isinstance(error, RollcallError)
    return "refused" if refused else error.code


def describe_result(result: ExecutionResult) -> str:
    """Codes and field names of its errors, without values: `CONFLICT expectedVersion`."""
    return _joined(_of_result(result))


def describe_error(error: BaseException) -> str:
    """As `describe_result`; for a token that is not valid, also why it is not."""
    return _joined(_of_error(error))


def _joined(codes: Iterator[str]) -> str:
    distinct = list(dict.fromkeys(codes))
    more = [f"and {len(distinct) - MOST_CODES} more"] if len(distinct) > MOST_CODES else []
    return ", ".join(distinct[:MOST_CODES] + more)


def _of_result(result: ExecutionResult) -> Iterator[str]:
    for error in result.errors or ():
        yield from _of_error(error.original_error or error)
    for payload in (result.data or {}).values():
        if isinstance(payload, dict):
            for problem in payload.get("errors") or ():
                yield _problem(problem.get("code"), problem.get("field"))


def _problem(code: object, field: object) -> str:
    """Without what a client has put there by an alias or as the name of an unknown field."""
    shown = str(code) if code in CODES else "refused"
    named = isinstance(field, str) and FIELD.fullmatch(field)
    return f"{shown} {field}" if named else shown


def _of_error(error: BaseException) -> Iterator[str]:
    match error:
        case InputError():
            for problem in error.problems:
                yield _problem(problem.code, problem.field)
        case Unauthenticated():
            # Its text is one of a few, with nothing of the request in it.
            yield f"{error.code} {error}"
        case RollcallError() | BadRequest() | BadDocument():
            yield error.code
        case GraphQLError():
            yield BAD_DOCUMENT
        case _:
            yield "INTERNAL"
