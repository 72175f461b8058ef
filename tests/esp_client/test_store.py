import json
import os
from pathlib import Path

import pytest

from esp_client import store


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"a": 1', "\x00\xff"])
def test_invalid_file_is_loaded_as_empty(tmp_path: Path, content: str) -> None:
    (tmp_path / "s").write_text(content)
    assert store.load(str(tmp_path / "s")) == {}


def test_saved_state_is_loaded(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    assert store.load(path) == {}
    for number in (1, 2):
        store.save(path, {"number": number})
        assert store.load(path) == {"number": number}


def test_power_cut_while_writing_keeps_the_former_state(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    store.save(path, {"number": 1})
    (tmp_path / "s.new").write_text('{"num')
    assert store.load(path) == {"number": 1}


def test_save_on_file_system_without_atomic_replace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "s")
    rename = os.rename

    def fat(old: str, new: str) -> None:
        if Path(new).exists():
            raise FileExistsError
        rename(old, new)

    monkeypatch.setattr(os, "rename", fat)
    store.save(path, {"number": 1})
    store.save(path, {"number": 2})
    assert json.loads(Path(path).read_text()) == {"number": 2}
    Path(path).replace(path + ".new")  # a power cut between removing and renaming
    assert store.load(path) == {"number": 2}
