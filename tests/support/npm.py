"""Installs npm packages in a temporary folder of a test run."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def npm_installed(sources: Path, target: Path) -> Path:
    """Copy a folder that has a package-lock.json, and install its packages there."""
    if not shutil.which("npm"):
        if os.environ.get("CI"):
            pytest.fail("npm is missing")
        pytest.skip("npm is not installed")
    folder = target / sources.name
    shutil.copytree(sources, folder, ignore=shutil.ignore_patterns("node_modules"))
    command = ["npm", "ci", "--no-fund", "--no-audit", "--ignore-scripts"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return folder
