"""The name of the database that a command uses, without user and password."""

from db.embedded import EmbeddedPostgres
from db.postgres.dsn.url import parse
from server.settings import Settings


def which_database(settings: Settings) -> str:
    """Such as "database rollcall at db.example.com:5432", "the embedded PostgreSQL in /x/data"."""
    if settings.database_url is None:
        folder = EmbeddedPostgres(settings.data_dir).data_dir
        return f"the embedded PostgreSQL in {folder}"
    target = parse(settings.database_url)
    name = f"database {target.database}" if target.database else "the default database"
    return f"{name} at {', '.join(map(str, target.hosts))}"
