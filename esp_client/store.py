"""A device's state in one JSON file, which is replaced as a whole."""

import json
import os


def load(path: str) -> dict:
    """The last saved state; empty if there is none or it can't be read."""
    for name in (path, path + ".new"):
        try:
            with open(name) as file:
                state = json.load(file)
            if isinstance(state, dict):
                return state
        except (OSError, ValueError):
            pass
    return {}


def save(path: str, state: dict) -> None:
    """Raises OSError if it can't be written; the previous state is then kept."""
    with open(path + ".new", "w") as file:
        json.dump(state, file)
        file.flush()
        if hasattr(os, "fsync"):
            os.fsync(file.fileno())
    if hasattr(os, "sync"):
        os.sync()
    try:
        os.rename(path + ".new", path)
    except OSError:
        # FAT can't rename onto an existing file. After a power cut here, `load` reads `.new`.
        os.remove(path)
        os.rename(path + ".new", path)
