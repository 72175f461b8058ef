"""The temporary folder of a run."""

import os
from pathlib import Path

import pytest

from tests.project.nested import run
from tests.temporary import PREFIX

SHOWS = """
def test_it(tmp_path):
    print(f"<{tmp_path}>")
    assert %s
"""


def shown(output: str) -> Path:
    return Path(output.rpartition("<")[2].partition(">")[0])


@pytest.mark.parametrize("options", [(), ("-n", "1")], ids=["one process", "workers"])
def test_it_is_of_its_own_and_deleted(tmp_path: Path, options: tuple[str, ...]) -> None:
    status, output = run(tmp_path, "tests.temporary", "-rP", *options, tests=SHOWS % "True")
    assert status == 0
    assert PREFIX in str(shown(output))
    assert not shown(output).exists()


def test_it_is_kept_after_a_failure_for_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "temporary"
    elsewhere.mkdir()
    monkeypatch.setenv("TMPDIR", str(elsewhere))
    _, output = run(tmp_path, "tests.temporary", "-rA", tests=SHOWS % "False")
    [kept] = elsewhere.glob(f"{PREFIX}*")
    assert kept in shown(output).parents
    run(tmp_path, "tests.temporary", tests=SHOWS % "True")
    assert kept.exists()
    os.utime(kept, (0, 0))
    run(tmp_path, "tests.temporary", tests=SHOWS % "True")
    assert list(elsewhere.iterdir()) == []
