"""Data directories for embedded servers. They are copied, because creating one takes seconds."""

from pathlib import Path

import pytest

from tests.db.embedded.running import copied, started


@pytest.fixture(scope="session")
def data_dir_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data_dir = tmp_path_factory.mktemp("made") / "data"
    with started(data_dir):
        pass
    return data_dir


@pytest.fixture
def data_dir(data_dir_template: Path, tmp_path: Path) -> Path:
    """A data directory with a stopped database."""
    return copied(data_dir_template, tmp_path / "data")
