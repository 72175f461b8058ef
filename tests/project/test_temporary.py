"""The temporary folder of a test run."""

import os
from pathlib import Path

import pytest

from tests.project.nested import run
from tests.temporary import PREFIX

PRINTS_FOLDER = """
def test_it(tmp_path):
    print(f"<{tmp_path}>")
    assert %s
"""


def shown(output: str) -> Path:
    return Path(output.rpartition("<")[2].partition(">")[0])


@pytest.mark.parametrize("options", [(), ("-n", "1")], ids=["one process", "workers"])
def test_folder_is_deleted_after_passed_run(tmp_path: Path, options: tuple[str, ...]) -> None:
    status, output = run(tmp_path, "tests.temporary", "-rP", *options, tests=PRINTS_FOLDER % "True")
    assert status == 0
    assert PREFIX in str(shown(output))
    assert not shown(output).exists()


def test_folder_of_failed_run_is_retained_for_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "temporary"
    elsewhere.mkdir()
    monkeypatch.setenv("TMPDIR", str(elsewhere))
    _, output = run(tmp_path, "tests.temporary", "-rA", tests=PRINTS_FOLDER % "False")
    [retained] = elsewhere.glob(f"{PREFIX}*")
    assert retained in shown(output).parents
    run(tmp_path, "tests.temporary", tests=PRINTS_FOLDER % "True")
    assert retained.exists()
    os.utime(retained, (0, 0))
    run(tmp_path, "tests.temporary", tests=PRINTS_FOLDER % "True")
    assert list(elsewhere.iterdir()) == []
