"""Functions and triggers of a migrated database against their SQL in `db.tables.triggers`."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Connection, text
from typer.testing import CliRunner

from db import migrate
from db.migrate import missing_migrations, write_migration
from db.postgres.database import Database
from db.tables import triggers
from db.trigger_check import compare_triggers
from server.cli.main import app

OTHER_BODY = triggers.QUEUE_CONFIG.replace("CREATE", "CREATE OR REPLACE").replace(
    "EXCLUDED.version;", "EXCLUDED.version + 1;"
)
OTHER_CONDITION = triggers.QUEUE_CONFIG_ON_UPDATE.replace("CREATE", "CREATE OR REPLACE").replace(
    "'active'", "'pending'"
)
SAME_WITH_OTHER_SPELLING = (
    triggers.QUEUE_CONFIG_ON_UPDATE.replace("CREATE", "CREATE OR REPLACE")
    .replace("AFTER UPDATE OF config_version, state", "after  update  of config_version,\n state")
    .replace("NEW.state = 'active'", "(new.state = ('active'::text))")
)
EXTRA = "CREATE TRIGGER extra AFTER DELETE ON tokens FOR EACH ROW EXECUTE FUNCTION queue_config()"
EXTRA_COLUMN = "ALTER TABLE tokens ADD COLUMN spare int"
EXTRA_ON_COLUMN = EXTRA.replace("extra AFTER DELETE", "on_column AFTER UPDATE OF spare")
EXTRA_FUNCTION = "CREATE FUNCTION spare(n int) RETURNS int LANGUAGE sql AS 'SELECT n % 7'"
DROP = "DROP TRIGGER queue_new_configs ON devices"

DIFFERENT_BODY = (
    "The function queue_config() differs: db/tables/triggers.py has 'ON CONFLICT (device_id) DO "
    "UPDATE SET version = EXCLUDED.version;', the database 'ON CONFLICT (device_id) DO "
    "UPDATE SET version = EXCLUDED.version + 1;'."
)
MISSING_IN_DATABASE = "The {} is in db/tables/triggers.py and not in the database."
MISSING_IN_FILE = "The {} is in the database and not in db/tables/triggers.py."
INVALID_DEFINITION = (
    "PostgreSQL refuses 'CREATE TRIGGER queue_config AFTER UPDATE OF config_version, state ON "
    "devices' of db/tables/triggers.py: column new.stat does not exist"
)
DIFFERENCES = {
    "a changed body": (OTHER_BODY, DIFFERENT_BODY),
    "a dropped trigger": (DROP, MISSING_IN_DATABASE.format("trigger queue_new_configs ON devices")),
    "an extra trigger": (EXTRA, MISSING_IN_FILE.format("trigger extra ON tokens")),
    "an extra function": (EXTRA_FUNCTION, MISSING_IN_FILE.format("function spare(integer)")),
}


async def test_migrated_database_equals_definitions(database: Database) -> None:
    async with database.engine.connect() as connection:
        compared = await connection.run_sync(compare_triggers)
    assert compared.in_database == compared.by_text
    assert set(compared.in_database) == {
        "function queue_config()",
        "function queue_new_configs()",
        "trigger queue_config ON devices",
        "trigger queue_new_configs ON devices",
    }
    assert await missing_migrations(database) == []


@pytest.mark.parametrize(("change", "message"), DIFFERENCES.values(), ids=DIFFERENCES)
async def test_difference_is_reported(database: Database, change: str, message: str) -> None:
    await execute(database, change)
    assert await missing_migrations(database) == [message]


async def test_trigger_with_other_condition_is_reported(database: Database) -> None:
    await execute(database, OTHER_CONDITION)
    [message] = await missing_migrations(database)
    assert message.startswith("The trigger queue_config ON devices differs: ")


async def test_disabled_trigger_is_reported(database: Database) -> None:
    await execute(database, "ALTER TABLE devices DISABLE TRIGGER queue_config")
    [message] = await missing_migrations(database)
    assert message.startswith("The trigger queue_config ON devices differs: ")
    assert message.endswith(' -- disabled".')


async def test_other_spelling_is_no_difference(database: Database) -> None:
    await execute(database, SAME_WITH_OTHER_SPELLING)
    assert await missing_migrations(database) == []


async def test_missing_function_is_reported_with_its_trigger(database: Database) -> None:
    await execute(database, "DROP FUNCTION queue_config CASCADE")
    assert await missing_migrations(database) == [
        MISSING_IN_DATABASE.format("function queue_config()"),
        MISSING_IN_DATABASE.format("trigger queue_config ON devices"),
    ]


async def test_comparison_does_not_change_database(database: Database) -> None:
    """Also if the surrounding transaction is committed."""
    await execute(database, EXTRA, DROP)
    differences = await missing_migrations(database)
    assert len(differences) == 2
    async with database.engine.begin() as connection:
        await connection.run_sync(compare_triggers)
    assert await missing_migrations(database) == differences


async def test_invalid_definition_is_reported(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_invalid_definition(monkeypatch)
    assert await missing_migrations(database) == [INVALID_DEFINITION]


async def test_generated_migration_restores_definitions_and_downgrades(
    database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Upgrade and downgrade of the generated migration."""
    changes = (OTHER_BODY, DROP, EXTRA, EXTRA_FUNCTION, OTHER_CONDITION)
    await execute(database, *changes, EXTRA_COLUMN, EXTRA_ON_COLUMN)
    differences = await missing_migrations(database)
    assert len(differences) == 7
    copy_scripts(monkeypatch, tmp_path)
    assert await write_migration(database, "repair triggers") == []
    await run(database, migrate._upgrade)
    assert await missing_migrations(database) == []
    await run(database, downgrade)
    assert await missing_migrations(database) == differences


async def test_migration_with_invalid_definition_has_only_tables(
    database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    await execute(database, EXTRA, "ALTER TABLE devices DROP COLUMN status_at")
    use_invalid_definition(monkeypatch)
    copy_scripts(monkeypatch, tmp_path)
    assert await write_migration(database, "repair") == [INVALID_DEFINITION]
    written = text_of(tmp_path, "*_repair.py")
    assert "op.add_column('devices', sa.Column('status_at'" in written
    assert "TRIGGER" not in written


def test_migrate_command_reports_invalid_definition(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_invalid_definition(monkeypatch)
    copy_scripts(monkeypatch, tmp_path)
    result = CliRunner().invoke(app, ["migrate", "--write", "repair"])
    assert result.exit_code == 0
    assert f"Write these functions and triggers by hand:\n{INVALID_DEFINITION}\n" in result.stderr


def use_invalid_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = triggers.QUEUE_CONFIG_ON_UPDATE.replace("NEW.state =", "NEW.stat =")
    assert changed != triggers.QUEUE_CONFIG_ON_UPDATE
    texts = [
        changed if sql == triggers.QUEUE_CONFIG_ON_UPDATE else sql for sql in triggers.IN_FORCE
    ]
    monkeypatch.setattr(triggers, "IN_FORCE", texts)


def copy_scripts(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Write migrations to a copy of the scripts, not to those of Rollcall."""
    shutil.copytree(migrate.SCRIPTS, folder / "migrations")
    monkeypatch.setattr(migrate, "SCRIPTS", folder / "migrations")


def text_of(folder: Path, pattern: str) -> str:
    """Return the text of the only file that matches."""
    [found] = folder.rglob(pattern)
    return found.read_text()


def downgrade(connection: Connection) -> None:
    command.downgrade(migrate._config(connection), "-1")


async def run(database: Database, work: Callable[[Connection], None]) -> None:
    async with database.engine.begin() as connection:
        await connection.run_sync(work)


async def execute(database: Database, *statements: str) -> None:
    async with database.engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))
