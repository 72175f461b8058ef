"""Data directories for servers of a test's own, copied: to make one takes seconds."""

from pathlib import Path

import pytest

from tests.db.embedded.running import copied, started


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data_dir = tmp_path_factory.mktemp("made") / "data"
    with started(data_dir):
        pass
    return data_dir


@pytest.fixture
def data_dir(made: Path, tmp_path: Path) -> Path:
    """With a database that is not running."""
    return copied(made, tmp_path / "data")
