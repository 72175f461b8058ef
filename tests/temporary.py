"""A pytest plugin that gives each run its own temporary folder, and deletes it if all tests passed.

The default folder of pytest is shared by all runs of a user, and each new run makes it private to
that user. A PostgreSQL that root has started as another user could then not read its files.
"""

import shutil
import tempfile
import time
from pathlib import Path

import pytest

PREFIX = "rollcall-tests-"
# Folders of failed runs are retained so long, for debugging.
RETENTION_SECONDS = 24 * 60 * 60


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if config.option.basetemp is None and not hasattr(config, "workerinput"):
        _delete_old()
        folder = tempfile.mkdtemp(prefix=PREFIX)
        config.option.basetemp = folder
        config.pluginmanager.register(Temporary(Path(folder)))


class Temporary:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.passed = False

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        self.passed = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)

    def pytest_unconfigure(self) -> None:
        if self.passed:
            shutil.rmtree(self.folder, ignore_errors=True)


def _delete_old() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            old = time.time() - folder.stat().st_mtime > RETENTION_SECONDS
        except FileNotFoundError:
            continue
        if old:
            shutil.rmtree(folder, ignore_errors=True)
