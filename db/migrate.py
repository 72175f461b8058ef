"""Migrations. The first process that starts applies them; the others wait."""

import asyncio
from functools import cache
from pathlib import Path

import asyncpg
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations.ops import MigrationScript
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from db.events.log import repair_after_restore
from db.postgres.advisory_locks import Lock, lock
from db.postgres.check import check_server
from db.postgres.connect import PROBE_SECONDS
from db.postgres.database import Database
from db.postgres.permanent import DatabaseUnusable
from db.tables import alerts, devices, events, links, mqtt, requests, tokens
from db.tables.base import Base
from db.trigger_check import compare_triggers
from db.trigger_migration import add_triggers

TABLES = (devices, tokens, requests, events, links, mqtt, alerts)
METADATA = Base.metadata
SCRIPTS = Path(__file__).parent / "migrations"
REVISION = "SELECT version_num FROM alembic_version"
RESTORED = """
SELECT coalesce(max(tx) >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint, false) FROM events
"""


async def migrate(database: Database) -> None:
    """Migrate the tables to the newest revision. Other processes wait for it without a limit.

    Raises DatabaseUnusable as `check_server` does, and if the tables are of a newer version of
    Rollcall.
    """
    if await _is_ready(database):
        return
    unlimited = Database(database.url, statement_seconds=None)
    upgrade = asyncio.create_task(_upgrade_under_lock(unlimited), name="migrations")
    try:
        while not upgrade.done():
            await asyncio.wait([upgrade], timeout=PROBE_SECONDS)
            if not upgrade.done():
                await _probe(database)
        await upgrade
    finally:
        upgrade.cancel()
        await unlimited.close()
        await asyncio.gather(upgrade, return_exceptions=True)


async def _upgrade_under_lock(unlimited: Database) -> None:
    async with unlimited.engine.begin() as connection:
        await lock(connection, Lock.MIGRATION)
        await connection.run_sync(_upgrade)
        await repair_after_restore(connection)


async def _probe(database: Database) -> None:
    """Fail if the server is frozen. Migrations may take any time, but must not wait for that."""
    driver = await database.connection()
    driver.terminate()


async def missing_migrations(database: Database) -> list[str]:
    """Return the differences between the code (models, trigger SQL) and the migrated database.

    Locks the tables that have triggers for a moment.
    """
    async with database.engine.connect() as connection:
        return await connection.run_sync(_differences)


async def write_migration(database: Database, message: str) -> list[str]:
    """Write a new migration file with the differences.

    Returns the reasons why PostgreSQL refuses trigger SQL. If there are any, the file has no
    triggers.
    """
    async with database.engine.connect() as connection:
        return await connection.run_sync(_write, message)


async def _is_ready(database: Database) -> bool:
    """Return True if there is nothing to migrate or repair.

    Each query has a timeout, so a frozen server does not block it.
    """
    driver = await database.connection()
    try:
        await check_server(driver)
        revision = await _revision(driver)
        newest, all_revisions = _revisions()
        if revision is not None and revision not in all_revisions:
            raise DatabaseUnusable(
                "The tables in the database are of a newer version of Rollcall (revision "
                f"{revision}): update Rollcall, or restore a backup from before that update."
            )
        if revision != newest:
            return False
        return not await driver.fetchval(RESTORED, timeout=PROBE_SECONDS)
    finally:
        driver.terminate()


async def _revision(driver: "asyncpg.Connection[asyncpg.Record]") -> str | None:
    try:
        found = await driver.fetchval(REVISION, timeout=PROBE_SECONDS)
    except asyncpg.UndefinedTableError:
        return None
    return None if found is None else str(found)


@cache
def _revisions() -> tuple[str | None, frozenset[str]]:
    """Return the newest revision, and all. Cached, because reading the files delays a failover."""
    scripts = ScriptDirectory(str(SCRIPTS))
    return scripts.get_current_head(), frozenset(
        script.revision for script in scripts.walk_revisions()
    )


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection) -> None:
    command.upgrade(_config(connection), "head")


def _differences(connection: Connection) -> list[str]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    tables = [str(difference) for difference in compare_metadata(context, METADATA)]
    return tables + compare_triggers(connection).differences


def _write(connection: Connection, message: str) -> list[str]:
    comparison = compare_triggers(connection)

    def complete(_context: object, _revision: object, scripts: list[MigrationScript]) -> None:
        if not comparison.refused:
            add_triggers(scripts[0], comparison)

    command.revision(
        _config(connection), message, autogenerate=True, process_revision_directives=complete
    )
    return comparison.refused
