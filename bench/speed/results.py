"""The file with all figures."""

import json
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any


def keep(path: Path | None, name: str, about: str, results: Any) -> None:
    """What one benchmark has found, beside what the others have."""
    if path is None:
        return
    told = json.loads(path.read_text()) if path.exists() else {}
    told[name] = {"about": about, "results": _plain(results)}
    path.write_text(json.dumps(told, indent=1) + "\n")


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return value
