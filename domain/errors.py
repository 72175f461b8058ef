"""Expected errors, which clients see with their code and text.

Any other exception is a bug: it is logged, and its text is never sent to a client.
"""

from dataclasses import dataclass
from enum import StrEnum


class ErrorCode(StrEnum):
    INVALID = "INVALID"
    NOT_FOUND = "NOT_FOUND"
    CONFLICT = "CONFLICT"
    NOT_ALLOWED = "NOT_ALLOWED"
    USED_UP = "USED_UP"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with an input. `field` is a dotted path such as `location.latitude`."""

    code: ErrorCode
    field: str | None
    message: str


class RollcallError(Exception):
    """Base class of the expected errors. `code` is the machine-readable code in the response.

    `retry_after_seconds`: when the same request may succeed; None if a retry does not help.
    """

    code: str
    retry_after_seconds: int | None = None


class InputError(RollcallError):
    """Input that the caller can correct. Has all problems of the input.

    Its code is that of the first problem.
    """

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems
        self.code = problems[0].code

    @classmethod
    def at(
        cls, field: str | None, message: str, code: ErrorCode = ErrorCode.INVALID
    ) -> "InputError":
        return cls(Problem(code, field, message))


class AccessError(RollcallError):
    """The caller may not do this."""

    code = "FORBIDDEN"


class Unauthenticated(AccessError):
    """No token, or a token that is unknown, expired or revoked."""

    code = "UNAUTHENTICATED"


class Forbidden(AccessError):
    """The token is valid, but its kind may not do this."""


class IntrospectionDisabled(Forbidden):
    """The caller may not read the schema."""

    code = "INTROSPECTION_DISABLED"


class TrustedDocumentsOnly(Forbidden):
    """The caller may send ids of trusted documents only, no documents."""

    code = "TRUSTED_DOCUMENTS_ONLY"


class Unavailable(RollcallError):
    """The database is not reachable; the same request may succeed later."""

    code = "DATABASE_UNAVAILABLE"
    retry_after_seconds = 2


class Overloaded(Unavailable):
    """Too much load: for example, all database connections have been busy for some seconds."""

    code = "OVERLOADED"


class Interrupted(Unavailable):
    """The subscription ended because the database is not reachable; the client can resume."""


class SlowConsumer(RollcallError):
    """The server ended the subscription, usually because its queue was full.

    The subscriber misses no event if it resumes.
    """

    code = "CUT_OFF"


class RateLimited(RollcallError):
    """A rate limit is exceeded; the same request may succeed after `retry_after_seconds`."""

    code = "RATE_LIMITED"

    def __init__(self, message: str, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class TimedOut(RollcallError):
    """The deadline has passed. A change may still have been committed: check it, or retry."""

    code = "TIMED_OUT"
