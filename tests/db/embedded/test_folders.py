"""The data directory may have any name and be anywhere."""

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
    """Writes a row, stops, starts again, and reads it."""
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
async def test_any_name_works(
    data_dir: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    await round_trip(moved(data_dir, tmp_path / name))
    assert names_in(tmp_path) == [name]


def names_in(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


async def test_a_new_database_is_made_under_any_name(tmp_path: Path) -> None:
    await round_trip(tmp_path / """it's 100% "$HOME", `x` é ?#&+""" / "data")


async def test_a_name_that_is_not_utf_8_works(tmp_path: Path) -> None:
    await round_trip(tmp_path / os.fsdecode(b"caf\xe9"))


async def test_a_long_path_works(tmp_path: Path) -> None:
    await round_trip(tmp_path / ("long" * 30) / ("path" * 40))


async def test_a_symbolic_link_and_a_relative_path_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    await round_trip(Path("link/data"), tmp_path / "real" / "data")
    monkeypatch.setenv("HOME", str(tmp_path))
    await round_trip(Path("~/other"), tmp_path / "other")


async def test_migrations_run_there_too(data_dir: Path, tmp_path: Path) -> None:
    with started(moved(data_dir, tmp_path / "My 100% $HOME, é")) as postgres:
        database = Database(postgres.start())
        await migrate(database)
        await database.close()


def test_the_socket_folder_elsewhere_goes_with_the_server(data_dir: Path, tmp_path: Path) -> None:
    with started(moved(data_dir, tmp_path / "My Projects")) as postgres:
        before = socket_folder(postgres.start())
        assert before.stat().st_mode & 0o777 == 0o700
        crash(postgres)
        assert before.exists()
        assert socket_folder(postgres.start()) == before
    assert not before.exists()


def test_a_socket_folder_of_another_user_is_not_used(data_dir: Path, tmp_path: Path) -> None:
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


async def test_settings_for_other_programs_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "6543")
    monkeypatch.setenv("PGDATA", "/nowhere")
    monkeypatch.setenv("LC_ALL", "xx_XX.KOI8-R")
    await round_trip(tmp_path / "data")


def test_a_line_break_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PostgresUnusable, match="line break") as refused, started(tmp_path / "a\nb"):
        pass
    assert "\n" not in str(refused.value)
