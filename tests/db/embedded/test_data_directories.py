"""Data directories with unusual names and locations."""

import os
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from db.embedded import EmbeddedPostgres, PostgresUnusable
from db.migrate import migrate
from db.postgres.database import Database
from tests.db.embedded.running import ask, crash, moved, started

NAMES = [
    "My Projects",
    "it's",
    'say "hello"',
    "$HOME",
    "$(touch x)`touch y`",
    "Ünal Łukasz Дом 家",
    "50% off",
    "a%20b",
    "what?host=x",
    "a#b",
    "a&b=c;d",
    "a+b",
    "one,two",
    "c:d@e",
    "back\\slash",
    " blanks at both ends ",
    "-D",
    "~",
    "{x}*[y]|<z>!",
]


async def round_trip(data_dir: Path, expected: Path | None = None) -> None:
    """Write a row, restart the server, and read the row."""
    postgres = EmbeddedPostgres(data_dir)
    try:
        url = postgres.start()
        await ask(url, "CREATE TABLE kept AS SELECT 42 AS number")
        postgres.stop()
        assert not postgres.running
        url = postgres.start()
        assert [row["number"] for row in await ask(url, "SELECT number FROM kept")] == [42]
        database = Database(url)
        async with database.transaction():
            pass
        await database.close()
    finally:
        postgres.stop()
    assert ((expected or data_dir) / "postgres" / "PG_VERSION").exists()


@pytest.mark.parametrize("name", NAMES)
async def test_data_directory_with_any_name(
    data_dir: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    await round_trip(moved(data_dir, tmp_path / name))
    assert names_in(tmp_path) == [name]


def names_in(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


async def test_new_database_in_directory_with_special_characters(tmp_path: Path) -> None:
    await round_trip(tmp_path / """it's 100% "$HOME", `x` é ?#&+""" / "data")


async def test_data_directory_name_that_is_not_utf_8(tmp_path: Path) -> None:
    await round_trip(tmp_path / os.fsdecode(b"caf\xe9"))


async def test_data_directory_with_long_path(tmp_path: Path) -> None:
    await round_trip(tmp_path / ("long" * 30) / ("path" * 40))


async def test_data_directory_as_symbolic_link_or_relative_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    await round_trip(Path("link/data"), tmp_path / "real" / "data")
    monkeypatch.setenv("HOME", str(tmp_path))
    await round_trip(Path("~/other"), tmp_path / "other")


async def test_migrations_in_directory_with_special_characters(
    data_dir: Path, tmp_path: Path
) -> None:
    with started(moved(data_dir, tmp_path / "My 100% $HOME, é")) as postgres:
        database = Database(postgres.start())
        await migrate(database)
        await database.close()


def test_separate_socket_folder_is_removed_at_stop(data_dir: Path, tmp_path: Path) -> None:
    with started(moved(data_dir, tmp_path / "My Projects")) as postgres:
        before = socket_folder(postgres.start())
        assert before.stat().st_mode & 0o777 == 0o700
        crash(postgres)
        assert before.exists()
        assert socket_folder(postgres.start()) == before
    assert not before.exists()


def test_foreign_socket_folder_is_not_used(data_dir: Path, tmp_path: Path) -> None:
    with started(data_dir.rename(tmp_path / "My Projects")) as postgres:
        usual = socket_folder(postgres.start())
        postgres.stop()
        for make in (usual.mkdir, partial(usual.symlink_to, tmp_path)):
            make()
            other = socket_folder(postgres.start())
            assert other != usual
            postgres.stop()
            assert not other.exists()
            (usual.unlink if usual.is_symlink() else usual.rmdir)()


def socket_folder(url: str) -> Path:
    return Path(parse_qs(urlsplit(url).query)["host"][0])


async def test_environment_variables_of_postgresql_are_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "6543")
    monkeypatch.setenv("PGDATA", "/nowhere")
    monkeypatch.setenv("LC_ALL", "xx_XX.KOI8-R")
    await round_trip(tmp_path / "data")


def test_line_break_in_path_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(PostgresUnusable, match="line break") as refused, started(tmp_path / "a\nb"):
        pass
    assert "\n" not in str(refused.value)
