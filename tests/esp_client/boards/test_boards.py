"""The modules for boards compile, stay small, and are all in the package list."""

import json
import shutil
from pathlib import Path

import pytest

from tests.esp_client.boards import bytecode
from tests.esp_client.boards.bytecode import FOLDER, compiled

FOR_COMPUTERS = {"__main__.py", "settings_example.py", "settings.py", "simulated.py"}
MODULES = sorted(set(FOLDER.glob("*.py")) - {FOLDER / name for name in FOR_COMPUTERS})
EXAMPLES = sorted((FOLDER / "examples").glob("*.py"))
MAX_BYTECODE = 22_500


def test_modules_compile_within_size_limit(tmp_path: Path) -> None:
    total = sum(compiled(module, tmp_path / f"{module.stem}.mpy") for module in MODULES)
    assert total <= MAX_BYTECODE


def test_bytecode_size_does_not_depend_on_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = compiled(MODULES[0], tmp_path / "before.mpy")
    folder = tmp_path / "a folder with a longer name" / "esp_client"
    folder.mkdir(parents=True)
    shutil.copy(MODULES[0], folder)
    monkeypatch.setattr(bytecode, "FOLDER", folder)
    assert compiled(folder / MODULES[0].name, tmp_path / "after.mpy") == before


def test_examples_compile_within_size_limit(tmp_path: Path) -> None:
    for example in EXAMPLES:
        assert compiled(example, tmp_path / f"{example.stem}.mpy") <= 1500


def test_package_lists_every_module() -> None:
    listed = json.loads((FOLDER / "package.json").read_text())["urls"]
    files = [str(file.relative_to(FOLDER)) for file in MODULES + EXAMPLES]
    assert listed == [[f"esp_client/{file}", file] for file in files]
