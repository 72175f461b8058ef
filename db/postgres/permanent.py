"""Errors of a database that waiting can't heal, each with what to do."""

import ssl

import asyncpg

from db.postgres.connect import NoConnection
from db.postgres.dsn.options import BadDatabaseUrl
from db.postgres.transient import chain, state_of

SETTING = "ROLLCALL_DATABASE_URL"

# SQLSTATE (PostgreSQL, appendix A), what is wrong, and what to do. The server's words go between.
STATES = {
    "28P01": ("The database refuses the password", f"correct the user or password in {SETTING}"),
    "28": (
        "The database does not let this user in",
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
        "give Rollcall a database of its own",
    ),
}

SHARED = (
    "The database is behind a pooler that shares its connections between transactions: set "
    "pool_mode = session in PgBouncer, or connect to PostgreSQL itself."
)
# A prepared statement that is not there, or is there already: it is another connection's.
OTHERS_STATEMENTS = ("26000", "42P05")
STATEMENT_MODE = "not allowed in statement pooling mode"

# Of options that the server does not know, while connecting.
OPTIONS = ("22", "42")
WRONG_OPTIONS = (
    "The database refuses the options of the connection",
    f"correct options in {SETTING}",
)

# PgBouncer has SQLSTATE 08P01 for all of its errors, up to version 1.18.
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
    """Waiting can't heal it; the text is one line that says what is wrong, and what to do."""


def permanent_reason(error: BaseException) -> str | None:
    """One line for an error that waiting can't heal, of a connection or a migration; else None."""
    for each in chain(error):
        if isinstance(each, (DatabaseUnusable, BadDatabaseUrl)):
            return str(each) if isinstance(each, DatabaseUnusable) else f"{SETTING}: {each}"
        if isinstance(each, NoConnection):
            return next(filter(None, (_of_connecting(failed) for _, failed in each.failures)), None)
        if found := _of_statement(each):
            return found
    return None


def _of_connecting(error: BaseException) -> str | None:
    if found := permanent_reason(error):
        return found
    if isinstance(error, asyncpg.ClientConfigurationError) or (
        isinstance(error, asyncpg.InterfaceError) and "authentication" in str(error)
    ):
        return f"{SETTING}: {_words(error)}"
    if state_of(error).startswith(OPTIONS):
        return _line(WRONG_OPTIONS, error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return _line(BAD_CERTIFICATE, error)
    no_tls = isinstance(error, ConnectionError) and "rejected SSL upgrade" in str(error)
    return _line(NO_TLS, error) if no_tls else None


def _of_statement(error: BaseException) -> str | None:
    state = state_of(error)
    if state in OTHERS_STATEMENTS or STATEMENT_MODE in str(error):
        return SHARED
    if state == "08P01":
        found = [known for words, known in POOLER.items() if words in str(error)]
        return _line(found[0], error) if found else None
    for length in (len(state), 2):
        if known := STATES.get(state[:length]):
            return _line(known, error)
    return None


def _line(known: tuple[str, str], error: BaseException) -> str:
    wrong, remedy = known
    return f"{wrong} ({_words(error)}): {remedy}."


def _words(error: BaseException) -> str:
    """Of the server or driver, without SQLAlchemy's statement around them."""
    original = getattr(error, "orig", None) or error
    text = getattr(original.__cause__, "message", None) or getattr(original, "message", None)
    return " ".join(str(text or original).split()).rstrip(".")
