"""A test run that never ends, for `test_watchdog.py`. Pytest does not collect it by file name."""

import os
import time
from pathlib import Path

from tests.db.embedded.running import started
from tests.server.process import ServerProcess


def test_hangs_with_servers_running(tmp_path: Path, postgres: str) -> None:
    """Runs the shared PostgreSQL, one whose socket is elsewhere, and one embedded in a server."""
    assert postgres
    server = ServerProcess(tmp_path / "data")
    server.start()
    with started(tmp_path / "My Projects"):
        Path(os.environ["HANGING"]).write_text("hangs")
        time.sleep(600)
