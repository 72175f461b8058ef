"""Names the database that a command talks to, for people, without user and password."""

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from db.embedded import EmbeddedPostgres
from server.settings import Settings


def which_database(settings: Settings) -> str:
    """As in "database rollcall at db.example.com:5432" or "the embedded PostgreSQL in /x/data"."""
    if settings.database_url is None:
        folder = EmbeddedPostgres(settings.data_dir).data_dir
        return f"the embedded PostgreSQL in {folder}"
    try:
        url = make_url(settings.database_url)
    except (ArgumentError, ValueError):
        return "the database of ROLLCALL_DATABASE_URL"
    host, port = url.host or _text(url.query.get("host")), url.port or _text(url.query.get("port"))
    name = url.database or _text(url.query.get("database")) or "(default)"
    return f"database {name} at {host or 'localhost'}" + (f":{port}" if port else "")


def _text(found: str | tuple[str, ...] | None) -> str | None:
    return ",".join(found) if isinstance(found, tuple) else found
