"""Errors of a database that is away, full or busy: the same operation may succeed later."""

from collections.abc import Iterator

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

# SQLSTATE classes and codes (PostgreSQL, appendix A): connection, transaction rolled back,
# resources, operator intervention; then: the server is read-only, a disk has failed, an idle
# transaction or a long one was ended.
STATES = ("08", "40", "53", "57", "25006", "58030", "25P03", "25P04")
READ_ONLY = "25006"
NO_MORE_CONNECTIONS = "53300"

ALWAYS = (OSError, TimeoutError, PoolTimeout, InterfaceError, OperationalError)
# The last two: a connection that died in the middle of something, and a statement that was prepared
# before a migration.
OF_THE_DRIVER = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.InvalidCachedStatementError,
)


def is_transient(error: BaseException) -> bool:
    return any(_is_transient(each) for each in chain(error))


def has_state(error: BaseException, *states: str) -> bool:
    """Whether it, or what caused it, has a SQLSTATE that begins with one of them."""
    return any(state_of(each).startswith(states) for each in chain(error))


def state_of(error: BaseException) -> str:
    """The SQLSTATE of an error of the driver, or of SQLAlchemy's wrapper of one; or ''."""
    return str(getattr(error, "sqlstate", None) or "")


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """It, and what it was made of: in SQLAlchemy's wrapper, by its cause, or at several hosts."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        for _, failure in getattr(error, "failures", ()):
            yield from chain(failure)
        error = getattr(error, "orig", None) or error.__cause__


def _is_transient(error: BaseException) -> bool:
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    if isinstance(error, asyncpg.ClientConfigurationError):
        return False
    return isinstance(error, (*ALWAYS, *OF_THE_DRIVER)) or state_of(error).startswith(STATES)
