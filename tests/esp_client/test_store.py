import json
import os
from pathlib import Path

import pytest

from esp_client import store


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"a": 1', "\x00\xff"])
def test_a_spoilt_file_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "s").write_text(content)
    assert store.load(str(tmp_path / "s")) == {}


def test_what_was_saved_is_there(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    assert store.load(path) == {}
    for number in (1, 2):
        store.save(path, {"number": number})
        assert store.load(path) == {"number": number}


def test_a_power_cut_while_writing_leaves_what_was_there(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    store.save(path, {"number": 1})
    (tmp_path / "s.new").write_text('{"num')
    assert store.load(path) == {"number": 1}


def test_a_file_system_that_does_not_rename_onto_files(
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
