"""What can go wrong, told to whoever can put it right.

Anything else that is raised is a bug: it is logged, and its text is shown to nobody.
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
    """Base of all that is not a bug; `code` is what the answer says to a program.

    `retry_after_seconds`: when the same request may succeed; None if time does not help.
    """

    code: str
    retry_after_seconds: int | None = None


class InputError(RollcallError):
    """The caller can put this right: every problem with the input, at once.

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
    """No token, or one that is not valid (any more)."""

    code = "UNAUTHENTICATED"


class Forbidden(AccessError):
    """A valid token of a kind that may not do this."""


class IntrospectionDisabled(Forbidden):
    """Who may not read the schema asks for it."""

    code = "INTROSPECTION_DISABLED"


class TrustedDocumentsOnly(Forbidden):
    """The caller may send no documents, but ids of those that the server knows."""

    code = "TRUSTED_DOCUMENTS_ONLY"


class Unavailable(RollcallError):
    """The database can't be reached now; the same request may succeed later."""

    code = "DATABASE_UNAVAILABLE"
    retry_after_seconds = 2


class Overloaded(Unavailable):
    """All connections to the database are busy, and were so for a while."""

    code = "OVERLOADED"


class Interrupted(Unavailable):
    """A subscription that the database's absence has ended: to be resumed."""


class SlowConsumer(RollcallError):
    """A subscriber who can't be served on here; it misses nothing if it resumes."""

    code = "CUT_OFF"


class RateLimited(RollcallError):
    """Over a limit; the same request may succeed after `retry_after_seconds`."""

    code = "RATE_LIMITED"

    def __init__(self, message: str, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class TimedOut(RollcallError):
    """It took too long. A change may have been made all the same: look, or ask again."""

    code = "TIMED_OUT"
