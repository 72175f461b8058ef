"""Administration commands: they name their database and never create one implicitly."""

import os
import re
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from server.cli.database_name import which_database
from server.settings import Settings
from tests.conftest import named
from tests.server.process import ServerProcess

ROOT = Path(__file__).parent.parent.parent
NO_DATABASE = (
    "There is no Rollcall database in {}. Run this command in the folder of `rollcall serve`, "
    "or set ROLLCALL_DATA_DIR or ROLLCALL_DATABASE_URL.\n"
)
COMMANDS: list[tuple[str, ...]] = [
    ("tokens", "create", "--kind", "admin"),
    ("tokens", "list"),
    ("tokens", "revoke", "1"),
    ("migrate",),
]


def rollcall(
    *arguments: str, folder: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "server", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=folder,
    )


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_command_in_wrong_folder_creates_nothing(tmp_path: Path, command: tuple[str, ...]) -> None:
    # Some commands find an empty data folder.
    folders = ["data", "data/postgres"] if "list" in command or "migrate" in command else []
    for folder in folders:
        (tmp_path / folder).mkdir()
    ended = rollcall(*command, folder=tmp_path)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == NO_DATABASE.format(tmp_path / "data")
    assert len(list(tmp_path.rglob("*"))) == len(folders)


def test_invalid_option_value_is_reported(database_url: str) -> None:
    ended = rollcall(
        *("tokens", "create", "--kind", "enrol", "--max-uses", "0"),
        ROLLCALL_DATABASE_URL=database_url,
    )
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("--max-uses: ")


def test_commands_name_the_embedded_database(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "My Projects" / "data")
    server.data_dir.parent.mkdir()
    server.log = tmp_path / "log"
    server.start()
    database_line = f"Rollcall: the embedded PostgreSQL in {server.data_dir}\n"
    try:
        check_commands(server, database_line)
    finally:
        server.stop()
    check_commands(server, database_line)


def check_commands(server: ServerProcess, database_line: str) -> None:
    created = rollcall(*COMMANDS[0], ROLLCALL_DATA_DIR=str(server.data_dir))
    assert re.fullmatch(r"rca_\S+\n", created.stdout)
    assert created.stderr == database_line
    migrated = rollcall("migrate", folder=server.data_dir.parent)
    assert (migrated.returncode, migrated.stderr) == (0, database_line)


async def test_commands_name_the_external_database(postgres: str, database_url: str) -> None:
    listed = rollcall("tokens", "list", ROLLCALL_DATABASE_URL=database_url)
    assert listed.returncode == 0
    assert re.fullmatch(r"Rollcall: database rollcall_\d+ at /\S+:5432\n", listed.stderr)
    # Only `migrate` creates tables in another database.
    empty = named(postgres, "template1")
    refused = rollcall(*COMMANDS[0], ROLLCALL_DATABASE_URL=empty)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "There are no tables of Rollcall in database template1" in refused.stderr
    assert refused.stderr.count("\n") == 2


async def test_migrate_creates_tables_in_external_database(postgres: str) -> None:
    connection = await asyncpg.connect(postgres)
    await connection.execute("CREATE DATABASE for_migrate")
    try:
        url = named(postgres, "for_migrate")
        migrated = rollcall("migrate", ROLLCALL_DATABASE_URL=url)
        assert migrated.stdout == "The tables are at the newest version.\n"
        assert rollcall(*COMMANDS[0], ROLLCALL_DATABASE_URL=url).stdout.startswith("rca_")
    finally:
        await connection.execute("DROP DATABASE for_migrate WITH (FORCE)")
        await connection.close()


@pytest.mark.parametrize(
    ("url", "text"),
    [
        (
            "postgresql://me:secret@db.example.com:5433/fleet",
            "database fleet at db.example.com:5433",
        ),
        ("postgres://me:se%40cret@db/fleet?sslmode=require", "database fleet at db"),
        ("postgresql+asyncpg:///fleet?host=/run/postgresql", "database fleet at /run/postgresql"),
        ("postgresql://me:secret@a:1,b:2/fleet", "database fleet at a:1, b:2"),
        ("postgresql://me:secret@[::1]:5432", "the default database at [::1]:5432"),
        ("postgresql:///fleet", "database fleet at the default host"),
    ],
)
def test_database_name_hides_user_and_password(url: str, text: str) -> None:
    assert which_database(Settings(database_url=url)) == text


def test_permanent_database_error_ends_the_server(tmp_path: Path) -> None:
    """Server and commands end with one line that says what to do."""
    folder = tmp_path / "data" / "postgres"
    folder.mkdir(parents=True)
    (folder / "PG_VERSION").write_text("16\n")
    served = rollcall("serve", folder=tmp_path, ROLLCALL_PORT="0", ROLLCALL_MQTT="off")
    listed = rollcall("tokens", "list", folder=tmp_path)
    for ended in (served, listed):
        assert ended.returncode != 0
        assert "was created by PostgreSQL 16" in ended.stderr.splitlines()[-1]
        assert "Traceback" not in ended.stderr


def test_migrate_check_uses_temporary_database(tmp_path: Path) -> None:
    checked = rollcall("migrate", "--check", folder=tmp_path, TMPDIR=str(tmp_path))
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout == "Models and migrations agree.\n"
    assert checked.stderr.startswith(f"Rollcall: the embedded PostgreSQL in {tmp_path}/rollcall-")
    assert list(tmp_path.iterdir()) == []
