"""A real Mosquitto for a test, as a separate process on a free port."""

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.support.waiting import WAIT_SECONDS, wait_for

COMMAND = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def required() -> None:
    """Skip the test if Mosquitto is not installed; fail it if CI=true."""
    if COMMAND is None:
        if os.environ.get("CI") == "true":
            pytest.fail("Mosquitto is not installed.")
        pytest.skip("needs mosquitto")


class Mosquitto:
    """`lines`: lines of its config file after the listener. A restart uses the same port."""

    def __init__(self, folder: Path, *lines: str) -> None:
        required()
        self.port, self.second_port = free_port(), free_port()
        self.folder = folder
        self.log = folder / "mosquitto.log"
        self.pid_file = folder / "mosquitto.pid"
        self.config = folder / "mosquitto.conf"
        self.lines = lines or ("allow_anonymous true",)
        self.user = "root"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.launch()
        wait_for(self.listening)

    def launch(self) -> None:
        """Start the process without waiting until it listens."""
        base = [f"listener {self.port} 127.0.0.1", f"pid_file {self.pid_file}", f"user {self.user}"]
        self.config.write_text("\n".join([*base, *self.lines]) + "\n")
        assert COMMAND
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [COMMAND, "-c", str(self.config), "-v"], stdout=log, stderr=log
            )

    def listening(self) -> bool:
        assert self.process
        assert self.process.poll() is None, self.log.read_text()
        ports = [self.port]
        # Listeners are opened one after the other.
        if any(line.startswith(f"listener {self.second_port}") for line in self.lines):
            ports.append(self.second_port)
        return all(map(_is_open, ports))

    def reload(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGHUP)

    def save(self) -> None:
        """Make Mosquitto write its persistence file, and wait for it."""
        assert self.process
        saved = self.folder / "mosquitto.db"
        before = saved.stat().st_mtime_ns if saved.exists() else 0
        self.process.send_signal(signal.SIGUSR1)
        wait_for(lambda: saved.exists() and saved.stat().st_mtime_ns > before)

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(WAIT_SECONDS)


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
