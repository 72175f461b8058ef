"""What a device must not forget, in one JSON file that is whole or absent, never half."""

import json
import os


def load(path: str) -> dict:
    """What was saved last; empty where there is nothing, or nothing that can be read."""
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
    """Raises OSError where it can't be written; what was there before is then still there."""
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
        # FAT does not rename onto an existing file. A power cut here leaves `.new`, which counts.
        os.remove(path)
        os.rename(path + ".new", path)
