"""What waiting can't heal is one line that says what to do."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from db.embedded import EmbeddedPostgres, PostgresFailed, PostgresUnusable
from tests.db.embedded.running import ROOT, started


def refusal(data_dir: Path) -> str:
    with pytest.raises(PostgresUnusable) as refused, started(data_dir):
        pass
    text = str(refused.value)
    assert "\n" not in text
    assert str(data_dir) in text
    return text


def test_a_folder_of_another_major_version(data_dir: Path) -> None:
    version = data_dir / "postgres" / "PG_VERSION"
    version.write_text("16\n")
    text = refusal(data_dir)
    assert "PostgreSQL 16" in text
    assert "pg_dump" in text
    assert (ROOT / "docs" / "embedded-postgresql.md").exists()
    assert "docs/embedded-postgresql.md" in text
    version.write_text("18\n")
    with started(data_dir):
        pass


def test_a_folder_with_something_else(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "thesis.txt").write_text("years of work")
    assert "not empty" in refusal(tmp_path)
    assert (tmp_path / "postgres" / "thesis.txt").read_text() == "years of work"


def test_a_file_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    assert "ROLLCALL_DATA_DIR" in refusal(tmp_path / "data")


@pytest.mark.skipif(not Path("/proc/version").exists(), reason="needs /proc")
@pytest.mark.parametrize("folder", ["/proc/rollcall", "/sys/rollcall"])
def test_a_place_where_nothing_can_be_made(folder: str) -> None:
    assert "ROLLCALL_DATA_DIR" in refusal(Path(folder))


def test_a_folder_that_others_may_read(data_dir: Path) -> None:
    (data_dir / "postgres").chmod(0o755)
    assert "chmod 0700" in refusal(data_dir)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_folder_that_root_has_copied(data_dir: Path) -> None:
    os.chown(data_dir / "postgres", 0, 0)
    assert "chown -R pgserver" in refusal(data_dir)


NOBODY = 65534
AS_NOBODY = """
import os, sys
from pathlib import Path
sys.path[:] = sys.argv[2:]
from db.embedded import EmbeddedPostgres, PostgresUnusable
if os.geteuid() == 0:
    os.setgroups([]); os.setgid({0}); os.setuid({0})
for name in ("closed/data", "locked/data"):
    try:
        EmbeddedPostgres(Path(sys.argv[1], name)).start()
    except PostgresUnusable as refused:
        print(refused)
"""


def test_without_rights(tmp_path: Path) -> None:
    """As a user who may not write there, and as one who may not even look."""
    closed, locked = tmp_path / "closed", tmp_path / "locked"
    closed.mkdir(0o555)
    locked.mkdir(0o000)
    with_way_to(tmp_path)
    ended = subprocess.run(
        [sys.executable, "-c", AS_NOBODY.format(NOBODY), str(tmp_path), *sys.path],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    locked.chmod(0o700)
    assert ended.stderr == ""
    for folder, line in zip((closed, locked), ended.stdout.splitlines(), strict=True):
        assert line.startswith(f"{folder}/data: Permission denied")


def with_way_to(folder: Path) -> None:
    """Other users may pass, which pytest does not allow."""
    for each in (folder, *folder.parents):
        if each.stat().st_uid == os.geteuid() and not each.stat().st_mode & stat.S_IXOTH:
            each.chmod(each.stat().st_mode | stat.S_IXOTH)


def test_a_server_that_fails_at_its_start_says_why(data_dir: Path) -> None:
    with (data_dir / "postgres" / "postgresql.conf").open("a") as config:
        config.write("shared_buffers = plenty\n")
    with pytest.raises(PostgresFailed, match=r"postgresql\.conf") as failed, started(data_dir):
        pass
    assert not isinstance(failed.value, PostgresUnusable)
    assert str(data_dir / "postgres" / "log") in str(failed.value)
    assert "\n" not in str(failed.value)


def test_the_rest_of_a_first_start_that_was_cut_off(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir(0o700)
    (tmp_path / "postgres.unfinished").touch()
    (tmp_path / "postgres" / "base").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("18\n")
    assert not EmbeddedPostgres(tmp_path).exists
    with started(tmp_path) as postgres:
        assert postgres.exists
        assert not (tmp_path / "postgres.unfinished").exists()
    # Where a server was started, nothing is ever removed.
    (tmp_path / "postgres.unfinished").touch()
    before = (tmp_path / "postgres" / "PG_VERSION").stat().st_ino
    with started(tmp_path) as postgres:
        assert postgres.exists
    assert (tmp_path / "postgres" / "PG_VERSION").stat().st_ino == before
