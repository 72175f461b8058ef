"""Runs pytest in a test."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(
    folder: Path, plugin: str, *options: str, tests: str, conftest: str = ""
) -> tuple[int, str]:
    """Return exit status and output. Loads only the plugin and pytest-xdist."""
    (folder / "test_numbers.py").write_text(tests)
    (folder / "conftest.py").write_text(conftest)
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-p", "xdist", "-p", plugin]
    ended = subprocess.run(
        [*command, "-c", folder / "pytest.ini", "--rootdir", folder, *options, folder],
        cwd=ROOT,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout + ended.stderr
