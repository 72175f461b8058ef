"""Migrations, applied by whichever process comes first."""

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from db import alert_tables, broker_tables, link_tables
from db.database import Database
from db.event_log import mend_after_restore

LOCK = 7_265_531
# Of all tables: each file of them has to be loaded.
[METADATA] = {
    table.metadata for table in (alert_tables.Notice, broker_tables.Undelivered, link_tables.Link)
}


async def migrate(database: Database) -> None:
    """Brings the tables to the newest version; other processes wait meanwhile, for any time."""
    patient = Database(database.url, pool_size=1, statement_seconds=None)
    try:
        async with patient.engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            await connection.run_sync(_upgrade)
            await mend_after_restore(connection)
    finally:
        await patient.close()


async def missing_migrations(database: Database) -> list[str]:
    """What the models have and the migrated tables have not, or the other way round."""
    async with database.engine.connect() as connection:
        return await connection.run_sync(_differences)


async def write_migration(database: Database, message: str) -> None:
    """Writes a new migration file with what is missing."""
    async with database.engine.connect() as connection:
        await connection.run_sync(
            lambda c: command.revision(_config(c), message, autogenerate=True)
        )


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection) -> None:
    command.upgrade(_config(connection), "head")


def _differences(connection: Connection) -> list[str]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return [str(difference) for difference in compare_metadata(context, METADATA)]
