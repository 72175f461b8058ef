"""Transient errors of a database: the same operation may succeed later."""

from collections.abc import Iterator

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

# SQLSTATE classes (PostgreSQL, appendix A): connection, transaction rollback, resources, operator
# intervention. Then codes: read-only server, I/O error, timeout of an idle or a long transaction.
STATES = ("08", "40", "53", "57", "25006", "58030", "25P03", "25P04")
READ_ONLY = "25006"
NO_MORE_CONNECTIONS = "53300"

ALWAYS = (OSError, TimeoutError, PoolTimeout, InterfaceError, OperationalError)
# The last two: a connection that died during an operation, and a statement that was prepared before
# a migration.
DRIVER_ERRORS = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.InvalidCachedStatementError,
)


def is_transient(error: BaseException) -> bool:
    return any(_is_transient_itself(each) for each in chain(error))


def has_state(error: BaseException, *states: str) -> bool:
    """Return True if an error or its cause has an SQLSTATE that begins with one of `states`."""
    return any(state_of(each).startswith(states) for each in chain(error))


def state_of(error: BaseException) -> str:
    """Return the SQLSTATE of an error of the driver or of SQLAlchemy; '' if it has none."""
    return str(getattr(error, "sqlstate", None) or "")


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, its causes, the error in SQLAlchemy's wrapper, and those of all hosts."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        for _, failure in getattr(error, "failures", ()):
            yield from chain(failure)
        error = getattr(error, "orig", None) or error.__cause__


def _is_transient_itself(error: BaseException) -> bool:
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    if isinstance(error, asyncpg.ClientConfigurationError):
        return False
    return isinstance(error, (*ALWAYS, *DRIVER_ERRORS)) or state_of(error).startswith(STATES)
