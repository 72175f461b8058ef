"""Memory use of a boot and an MQTT session on MicroPython (its WebAssembly build, from npm).

This VM has 32-bit pointers, as the boards have. It collects garbage only where the device's code
requests it, so the peak is an upper bound for a board.
"""

import subprocess
from pathlib import Path

import pytest

from tests.esp_client.boards.bytecode import compiled
from tests.esp_client.boards.test_boards import MODULES
from tests.support.npm import npm_installed
from tests.support.waiting import WAIT_SECONDS

FOLDER = Path(__file__).parent / "micropython"
HEAP = 38 * 1024


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return npm_installed(FOLDER, tmp_path_factory.mktemp("micropython"))


@pytest.fixture(scope="module")
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bytecode")
    for module in MODULES:
        compiled(module, folder / f"{module.stem}.mpy")
    return folder


def test_boot_and_session_fit_the_heap_of_an_esp8266(runner: Path, bytecode: Path) -> None:
    command = ["node", "run.mjs", str(bytecode), "boot.py"]
    ended = subprocess.run(
        command, cwd=runner, capture_output=True, text=True, check=False, timeout=WAIT_SECONDS
    )
    assert ended.returncode == 0, ended.stderr
    lines = dict(line.split(": ", 1) for line in ended.stdout.splitlines() if ": " in line)
    assert lines["registered"] == "True CREATED"
    assert lines["stored"] == "rcd_AJOWkX21a3r5TxrLFGk__vy_ 30 ['acme/paris/temperature/+']"
    published = lines["published"].split(" ")
    assert published[:3] == ["online", '{"v":1,"fw":"1.0.0"}', '{"v":2,"fw":"1.0.0"}']
    assert published[3:] == ['{"humidity":40.1,"temperature":21.5}', "offline"]
    peaks = {name: int(size) for name, size in lines.items() if name.startswith("peak")}
    assert len(peaks) == 6
    assert max(peaks.values()) <= HEAP, peaks
    in_use = {name: int(size) for name, size in lines.items() if name.startswith("in use")}
    assert in_use["in use after the boot"] <= HEAP // 2, in_use
    assert in_use["in use in a session"] <= HEAP * 3 // 4, in_use
    # The modules for the server and for the broker are unloaded to free memory for each other.
    assert in_use["in use without the server"] < in_use["in use after the boot"]
    assert in_use["in use without the broker"] < in_use["in use in a session"] - 8 * 1024, in_use
