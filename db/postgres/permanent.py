"""Permanent errors of a database, each with a remedy."""

import ssl

import asyncpg

from db.postgres.connect import NoConnection
from db.postgres.dsn.options import BadDatabaseUrl
from db.postgres.transient import chain, state_of

SETTING = "ROLLCALL_DATABASE_URL"

# SQLSTATE (PostgreSQL, appendix A), what is wrong, and what to do. The message of the server is put
# between the two.
STATES = {
    "28P01": ("The database refuses the password", f"correct the user or password in {SETTING}"),
    "28": (
        "The database refuses this user",
        f"correct the user in {SETTING}, or the server's roles and pg_hba.conf",
    ),
    "3D000": ("There is no such database", f"create it with encoding UTF8, or correct {SETTING}"),
    "42501": (
        "The database user lacks a right",
        "make it the owner of the database, or grant it CREATE and USAGE on the schema",
    ),
    "3F000": (
        "There is no schema to create tables in",
        "create the schema, or correct the search_path of the user",
    ),
    "42P07": (
        "The database has tables of other programs with the same names",
        "give Rollcall a separate database",
    ),
}

SHARED = (
    "The database is behind a pooler that shares its connections between transactions: set "
    "pool_mode = session in PgBouncer, or connect to PostgreSQL itself."
)
# A prepared statement does not exist, or exists already: a pooler switched connections.
WRONG_CONNECTION = ("26000", "42P05")
STATEMENT_MODE = "not allowed in statement pooling mode"

# SQLSTATE classes of unknown options, while connecting.
OPTION_STATES = ("22", "42")
WRONG_OPTIONS = (
    "The database refuses the options of the connection",
    f"correct options in {SETTING}",
)

# Up to version 1.18, PgBouncer has SQLSTATE 08P01 for all of its errors.
POOLER = {
    "password authentication failed": STATES["28P01"],
    "SASL authentication failed": STATES["28P01"],
    "auth failed": STATES["28P01"],
    "no such user": STATES["28"],
    "no such database": STATES["3D000"],
    "unsupported startup parameter": (
        "PgBouncer refuses an option",
        f"leave it out of {SETTING}, or name it in PgBouncer's ignore_startup_parameters",
    ),
}

NO_TLS = (
    "The server does not speak TLS",
    f"turn it on there, or correct sslmode in {SETTING}",
)
BAD_CERTIFICATE = (
    "The server's certificate can't be trusted",
    f"correct sslrootcert, sslmode or the host in {SETTING}",
)


class DatabaseUnusable(Exception):
    """A permanent error. The text is one line: what is wrong, and what to do."""


def permanent_reason(error: BaseException) -> str | None:
    """Return one line for a permanent error of a connection or a migration; else None."""
    for each in chain(error):
        if isinstance(each, (DatabaseUnusable, BadDatabaseUrl)):
            return str(each) if isinstance(each, DatabaseUnusable) else f"{SETTING}: {each}"
        if isinstance(each, NoConnection):
            return next(
                filter(None, (_connect_reason(failed) for _, failed in each.failures)), None
            )
        if found := _statement_reason(each):
            return found
    return None


def _connect_reason(error: BaseException) -> str | None:
    if found := permanent_reason(error):
        return found
    if isinstance(error, asyncpg.ClientConfigurationError) or (
        isinstance(error, asyncpg.InterfaceError) and "authentication" in str(error)
    ):
        return f"{SETTING}: {_message(error)}"
    if state_of(error).startswith(OPTION_STATES):
        return _line(WRONG_OPTIONS, error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return _line(BAD_CERTIFICATE, error)
    no_tls = isinstance(error, ConnectionError) and "rejected SSL upgrade" in str(error)
    return _line(NO_TLS, error) if no_tls else None


def _statement_reason(error: BaseException) -> str | None:
    state = state_of(error)
    if state in WRONG_CONNECTION or STATEMENT_MODE in str(error):
        return SHARED
    if state == "08P01":
        found = [entry for text, entry in POOLER.items() if text in str(error)]
        return _line(found[0], error) if found else None
    for length in (len(state), 2):
        if entry := STATES.get(state[:length]):
            return _line(entry, error)
    return None


def _line(entry: tuple[str, str], error: BaseException) -> str:
    wrong, remedy = entry
    return f"{wrong} ({_message(error)}): {remedy}."


def _message(error: BaseException) -> str:
    """Return the message of the server or driver, without the statement that SQLAlchemy adds."""
    original = getattr(error, "orig", None) or error
    text = getattr(original.__cause__, "message", None) or getattr(original, "message", None)
    return " ".join(str(text or original).split()).rstrip(".")
