"""What the settings say of the database: its URL, and how many connections it may be asked for."""

from pydantic import ValidationInfo

from db.postgres.dsn.tls import check_files
from db.postgres.dsn.url import parse
from db.postgres.sizes import FULL, LEAST


def check_database_url(url: str | None) -> str | None:
    """Raises ValueError if it can't be used."""
    if url is not None:
        check_files(parse(url))
    return url


def check_connections(connections: int | None, info: ValidationInfo) -> int | None:
    """Raises ValueError if they are too few for the `workers`."""
    workers = int(info.data.get("workers", 1))
    if connections is not None and connections < LEAST.total * workers:
        raise ValueError(f"Give at least {LEAST.total} for each of {workers} processes.")
    return connections


def connections_for(connections: int | None, workers: int) -> int:
    """Of each of the processes; `connections`: of all of them together."""
    return FULL.total if connections is None else connections // workers
