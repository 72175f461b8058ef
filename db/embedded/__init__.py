"""A PostgreSQL of Rollcall's own, in the data directory, for installations that have none."""

from db.embedded.failures import PostgresFailed, PostgresUnusable
from db.embedded.server import EmbeddedPostgres

__all__ = ["EmbeddedPostgres", "PostgresFailed", "PostgresUnusable"]
