"""The watchdog ends all processes of a test run that was killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.server.process import wait_for

ROOT = Path(__file__).parents[2]
START_SECONDS = 120
END_SECONDS = 60


@pytest.mark.parametrize("options", [[], ["-n", "1"]], ids=["one process", "xdist"])
def test_no_process_remains_when_pytest_is_killed(tmp_path: Path, options: list[str]) -> None:
    """Only the main process is killed, also with xdist."""
    marker, folder = tmp_path / "hangs", tmp_path / "inner"
    inherited = {name: text for name, text in os.environ.items() if "XDIST" not in name}
    command = ["-m", "pytest", "-q", f"--basetemp={folder}", *options, "tests/support/hanging.py"]
    with (tmp_path / "output").open("w") as output:
        run = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            stdout=output,
            stderr=output,
            env={**inherited, "HANGING": str(marker)},
        )
    try:
        wait_for(lambda: marker.exists() or run.poll() is not None, START_SECONDS)
        assert run.poll() is None, (tmp_path / "output").read_text()
        postgres = [each for each in below(folder) if each.name() == "postgres"]
        pids = {each.pid for each in postgres}
        assert len([each for each in postgres if each.ppid() not in pids]) == 3
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()
    wait_for(lambda: not any(each.is_running() for each in postgres), END_SECONDS)
    wait_for(lambda: not below(folder), END_SECONDS)


def below(folder: Path) -> list[psutil.Process]:
    """Return processes with the folder in their arguments, environment or working directory."""
    found = []
    for process in psutil.process_iter():
        try:
            texts = [*process.cmdline(), process.cwd(), *process.environ().values()]
        except (psutil.Error, OSError):
            continue
        if process.pid != os.getpid() and any(str(folder) in text for text in texts):
            found.append(process)
    return found
