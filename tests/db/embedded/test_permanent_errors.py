"""Permanent errors of the embedded server have one line that says what to do."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from db.embedded import EmbeddedPostgres, PostgresFailed, PostgresUnusable
from tests.db.embedded.running import ROOT, started


def error_text(data_dir: Path) -> str:
    with pytest.raises(PostgresUnusable) as raised, started(data_dir):
        pass
    text = str(raised.value)
    assert "\n" not in text
    assert str(data_dir) in text
    return text


def test_data_of_another_major_version_is_rejected(data_dir: Path) -> None:
    version = data_dir / "postgres" / "PG_VERSION"
    version.write_text("16\n")
    text = error_text(data_dir)
    assert "PostgreSQL 16" in text
    assert "pg_dump" in text
    assert (ROOT / "docs" / "embedded-postgresql.md").exists()
    assert "docs/embedded-postgresql.md" in text
    version.write_text("18\n")
    with started(data_dir):
        pass


def test_folder_with_other_files_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "thesis.txt").write_text("years of work")
    assert "not empty" in error_text(tmp_path)
    assert (tmp_path / "postgres" / "thesis.txt").read_text() == "years of work"


def test_file_instead_of_data_directory_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    assert "ROLLCALL_DATA_DIR" in error_text(tmp_path / "data")


@pytest.mark.skipif(not Path("/proc/version").exists(), reason="needs /proc")
@pytest.mark.parametrize("folder", ["/proc/rollcall", "/sys/rollcall"])
def test_directory_that_can_not_be_created_is_rejected(folder: str) -> None:
    assert "ROLLCALL_DATA_DIR" in error_text(Path(folder))


def test_folder_readable_by_others_is_rejected(data_dir: Path) -> None:
    (data_dir / "postgres").chmod(0o755)
    assert "chmod 0700" in error_text(data_dir)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_folder_owned_by_root_is_rejected(data_dir: Path) -> None:
    os.chown(data_dir / "postgres", 0, 0)
    assert "chown -R pgserver" in error_text(data_dir)


UNPRIVILEGED_UID = 65534
RUN_UNPRIVILEGED = """
import os, sys
from pathlib import Path
sys.path[:] = sys.argv[2:]
from db.embedded import EmbeddedPostgres, PostgresUnusable
if os.geteuid() == 0:
    os.setgroups([]); os.setgid({0}); os.setuid({0})
for name in ("closed/data", "locked/data"):
    try:
        EmbeddedPostgres(Path(sys.argv[1], name)).start()
    except PostgresUnusable as error:
        print(error)
"""


def test_missing_permissions_are_reported(tmp_path: Path) -> None:
    """One directory is not writable, the other is not even readable."""
    closed, locked = tmp_path / "closed", tmp_path / "locked"
    closed.mkdir(0o555)
    locked.mkdir(0o000)
    make_traversable(tmp_path)
    ended = subprocess.run(
        [sys.executable, "-c", RUN_UNPRIVILEGED.format(UNPRIVILEGED_UID), str(tmp_path), *sys.path],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    locked.chmod(0o700)
    assert ended.stderr == ""
    for folder, line in zip((closed, locked), ended.stdout.splitlines(), strict=True):
        assert line.startswith(f"{folder}/data: Permission denied")


def make_traversable(folder: Path) -> None:
    """Let other users traverse the path. Pytest creates its folders without that right."""
    for each in (folder, *folder.parents):
        if each.stat().st_uid == os.geteuid() and not each.stat().st_mode & stat.S_IXOTH:
            each.chmod(each.stat().st_mode | stat.S_IXOTH)


def test_failed_start_names_reason_and_log(data_dir: Path) -> None:
    with (data_dir / "postgres" / "postgresql.conf").open("a") as config:
        config.write("shared_buffers = plenty\n")
    with pytest.raises(PostgresFailed, match=r"postgresql\.conf") as failed, started(data_dir):
        pass
    assert not isinstance(failed.value, PostgresUnusable)
    assert str(data_dir / "postgres" / "log") in str(failed.value)
    assert "\n" not in str(failed.value)


def test_unfinished_first_start_is_repeated(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir(0o700)
    (tmp_path / "postgres.unfinished").touch()
    (tmp_path / "postgres" / "base").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("18\n")
    assert not EmbeddedPostgres(tmp_path).exists
    with started(tmp_path) as postgres:
        assert postgres.exists
        assert not (tmp_path / "postgres.unfinished").exists()
    # Files are never removed after a server was started.
    (tmp_path / "postgres.unfinished").touch()
    before = (tmp_path / "postgres" / "PG_VERSION").stat().st_ino
    with started(tmp_path) as postgres:
        assert postgres.exists
    assert (tmp_path / "postgres" / "PG_VERSION").stat().st_ino == before
