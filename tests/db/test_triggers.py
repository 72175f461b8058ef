"""Functions and triggers of a migrated database, and their text in `db.tables.triggers`."""

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
NOT_THERE = "The {} is in db/tables/triggers.py and not in the database."
NOT_WRITTEN = "The {} is in the database and not in db/tables/triggers.py."
REFUSAL = (
    "PostgreSQL refuses 'CREATE TRIGGER queue_config AFTER UPDATE OF config_version, state ON "
    "devices' of db/tables/triggers.py: column new.stat does not exist"
)
FOUND = {
    "a changed body": (OTHER_BODY, DIFFERENT_BODY),
    "a dropped trigger": (DROP, NOT_THERE.format("trigger queue_new_configs ON devices")),
    "an extra trigger": (EXTRA, NOT_WRITTEN.format("trigger extra ON tokens")),
    "an extra function": (EXTRA_FUNCTION, NOT_WRITTEN.format("function spare(integer)")),
}


async def test_a_migrated_database_has_what_the_text_says(database: Database) -> None:
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


@pytest.mark.parametrize(("change", "sentence"), FOUND.values(), ids=FOUND)
async def test_a_difference_is_named(database: Database, change: str, sentence: str) -> None:
    await execute(database, change)
    assert await missing_migrations(database) == [sentence]


async def test_a_trigger_with_another_condition_is_named(database: Database) -> None:
    await execute(database, OTHER_CONDITION)
    [sentence] = await missing_migrations(database)
    assert sentence.startswith("The trigger queue_config ON devices differs: ")


async def test_a_disabled_trigger_is_named(database: Database) -> None:
    await execute(database, "ALTER TABLE devices DISABLE TRIGGER queue_config")
    [sentence] = await missing_migrations(database)
    assert sentence.startswith("The trigger queue_config ON devices differs: ")
    assert sentence.endswith(' -- disabled".')


async def test_another_spelling_is_no_difference(database: Database) -> None:
    await execute(database, SAME_WITH_OTHER_SPELLING)
    assert await missing_migrations(database) == []


async def test_a_missing_function_is_named_with_its_trigger(database: Database) -> None:
    await execute(database, "DROP FUNCTION queue_config CASCADE")
    assert await missing_migrations(database) == [
        NOT_THERE.format("function queue_config()"),
        NOT_THERE.format("trigger queue_config ON devices"),
    ]


async def test_a_comparison_changes_nothing(database: Database) -> None:
    """Not even if the transaction around it is committed."""
    await execute(database, EXTRA, DROP)
    before = await missing_migrations(database)
    assert len(before) == 2
    async with database.engine.begin() as connection:
        await connection.run_sync(compare_triggers)
    assert await missing_migrations(database) == before


async def test_a_text_that_postgresql_refuses_is_named(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_a_text(monkeypatch)
    assert await missing_migrations(database) == [REFUSAL]


async def test_what_is_missing_is_written(
    database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The migration that is written gives the database what the text says, and takes it back."""
    changes = (OTHER_BODY, DROP, EXTRA, EXTRA_FUNCTION, OTHER_CONDITION)
    await execute(database, *changes, EXTRA_COLUMN, EXTRA_ON_COLUMN)
    before = await missing_migrations(database)
    assert len(before) == 7
    copy_scripts(monkeypatch, tmp_path)
    assert await write_migration(database, "mend triggers") == []
    await run(database, migrate._upgrade)
    assert await missing_migrations(database) == []
    await run(database, downgrade)
    assert await missing_migrations(database) == before


async def test_where_a_text_is_refused_only_tables_are_written(
    database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    await execute(database, EXTRA, "ALTER TABLE devices DROP COLUMN status_at")
    refuse_a_text(monkeypatch)
    copy_scripts(monkeypatch, tmp_path)
    assert await write_migration(database, "mend") == [REFUSAL]
    written = text_of(tmp_path, "*_mend.py")
    assert "op.add_column('devices', sa.Column('status_at'" in written
    assert "TRIGGER" not in written


def test_the_command_says_what_it_does_not_write(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    refuse_a_text(monkeypatch)
    copy_scripts(monkeypatch, tmp_path)
    ended = CliRunner().invoke(app, ["migrate", "--write", "mend"])
    assert ended.exit_code == 0
    assert f"Write its functions and triggers by hand:\n{REFUSAL}\n" in ended.stderr


def refuse_a_text(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = triggers.QUEUE_CONFIG_ON_UPDATE.replace("NEW.state =", "NEW.stat =")
    assert changed != triggers.QUEUE_CONFIG_ON_UPDATE
    texts = [
        changed if sql == triggers.QUEUE_CONFIG_ON_UPDATE else sql for sql in triggers.IN_FORCE
    ]
    monkeypatch.setattr(triggers, "IN_FORCE", texts)


def copy_scripts(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """So that a migration that is written does not stay among Rollcall's."""
    shutil.copytree(migrate.SCRIPTS, folder / "migrations")
    monkeypatch.setattr(migrate, "SCRIPTS", folder / "migrations")


def text_of(folder: Path, pattern: str) -> str:
    """Of the only file that has such a name."""
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
