"""The output of `make demo`, while the UpdateConfig document of GraphiQL is run."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.timing import delay
from tests.support.waiting import WAIT_SECONDS, wait_for

ROOT = Path(__file__).parent.parent.parent
TAB = ROOT / "web" / "operations" / "04_update_config.graphql"
APPLIED_WITHIN_SECONDS = 2


class Terminal:
    def __init__(self, folder: Path) -> None:
        self.output = folder / "terminal"
        with self.output.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "demo", "--late", "3"],
                stdout=file,
                stderr=file,
                cwd=ROOT,
                env={**os.environ, "ROLLCALL_PORT": "0", "ROLLCALL_MQTT_PORT": "0"},
            )

    def shows(self, pattern: str) -> bool:
        assert self.process.poll() is None, self.text
        return re.search(pattern, self.text) is not None

    @property
    def text(self) -> str:
        return self.output.read_text()

    def found(self, pattern: str) -> str:
        match = re.search(pattern, self.text)
        assert match
        return match[1]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path)
    yield terminal
    # A SIGKILL would leave its server running.
    terminal.process.send_signal(signal.SIGINT)
    terminal.process.wait(WAIT_SECONDS)


@pytest.mark.alone
def test_demo_shows_config_change_and_late_devices(terminal: Terminal) -> None:
    wait_for(lambda: terminal.shows(r"Москва temperature +connected to 127\.0\.0\.1"))
    wait_for(lambda: terminal.shows("broker +acme/paris/humidity/.* [0-9.]+\n"))
    wait_for(lambda: terminal.shows("run the tab UpdateConfig"))
    url, token = terminal.found(r"Rollcall is at (\S+),"), terminal.found("token: (.+)\n")
    answer = httpx.post(
        f"{url}/graphql",
        json={
            "query": TAB.read_text(),
            "variables": json.loads(TAB.with_suffix(".json").read_text()),
        },
        headers={"Authorization": f"Bearer {token}"},
    )
    sent_at = time.monotonic()
    version = answer.json()["data"]["updateConfig"]["config"]["version"]
    wait_for(lambda: terminal.shows(f"Paris temperature +config v{version} applied"))
    wait_for(lambda: terminal.shows(f"server +paris/temperature has applied v{version} after"))
    assert time.monotonic() - sent_at < APPLIED_WITHIN_SECONDS * delay()
    wait_for(lambda: terminal.shows("new: Living room temperature +connected"))
    new = r"broker +acme/living-room/temperature/(\w{6})\.\.\."
    wait_for(lambda: len(set(re.findall(new, terminal.text))) == 2)
    for id in set(re.findall(new, terminal.text)):
        received = f"Living room heating +received acme/living-room/temperature/{id}"
        wait_for(lambda: terminal.shows(received))  # noqa: B023
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.process.wait(WAIT_SECONDS) == 0
    assert "The demo has ended." in terminal.text
    assert "Traceback" not in terminal.text
