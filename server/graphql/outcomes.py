"""What became of an operation in one word, for metrics and logs."""

from graphql import ExecutionResult

from domain.errors import InputError, RollcallError


def outcome_label(result: ExecutionResult) -> str:
    """ok, refused (the input), failed (a bug), or the code of an error."""
    for error in result.errors or ():
        cause = error.original_error
        return error_label(cause) if isinstance(cause, RollcallError) else "failed"
    for payload in (result.data or {}).values():
        if isinstance(payload, dict) and payload.get("errors"):
            return "refused"
    return "ok"


def error_label(error: RollcallError) -> str:
    """Refused (the input), or the code of the error."""
    return "refused" if isinstance(error, InputError) else error.code
