"""An embedded PostgreSQL in the data directory, for installations without a database server."""

from db.embedded.failures import PostgresFailed, PostgresUnusable
from db.embedded.server import EmbeddedPostgres

__all__ = ["EmbeddedPostgres", "PostgresFailed", "PostgresUnusable"]
