"""A test run that never ends, for `test_watchdog.py`: its name keeps it out of other runs."""

import os
import time
from pathlib import Path

from tests.db.embedded.running import started
from tests.server.process import ServerProcess


def test_it_hangs(tmp_path: Path, postgres: str) -> None:
    """The run's own PostgreSQL, one with another path of its socket, and a server with a third."""
    assert postgres
    server = ServerProcess(tmp_path / "data")
    server.start()
    with started(tmp_path / "My Projects"):
        Path(os.environ["HANGING"]).write_text("hangs")
        time.sleep(600)
