"""Checks whether a database has Rollcall's tables."""

from sqlalchemy import text

from db.postgres.database import Database


async def is_migrated(database: Database) -> bool:
    """Return True for any revision of the tables. Raises Unavailable."""
    async with database.transaction() as session:
        found = await session.execute(text("SELECT to_regclass('alembic_version') IS NOT NULL"))
        return bool(found.scalar_one())
