"""`make test`, with a fake pytest that only records its calls."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "a folder, with spaces"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(ROOT / name, folder / name)
    (folder / ".venv").mkdir()
    for stamp in ("installed", "installed-dev"):
        (folder / ".venv" / stamp).touch()
    return folder


def make(folder: Path, target: str, body: str) -> tuple[int, list[str]]:
    """Return the exit status and the arguments of each call of pytest."""
    (folder / "pytest.sh").write_text(f'#!/bin/sh\necho "$*" >> calls\n{body}\n')
    command = ["make", target, "PYTEST=sh ./pytest.sh", "MAKEFLAGS="]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return ended.returncode, (folder / "calls").read_text().splitlines()


@pytest.mark.parametrize(
    ("body", "passes"),
    [
        ("exit 0", True),
        ("exit 1", False),
        ('case "$*" in *"not alone"*) exit 1;; esac', False),
        ('case "$*" in *"not alone"*) exit 0;; esac; exit 1', False),
    ],
    ids=["both pass", "both fail", "the first fails", "the second fails"],
)
def test_both_runs_of_make_test_are_executed_and_decide_the_status(
    checkout: Path, body: str, passes: bool
) -> None:
    status, calls = make(checkout, "test", body)
    assert [call.partition("-m ")[2] for call in calls] == [
        "not alone and not slow",
        "alone and not slow",
    ]
    assert (status == 0) is passes
