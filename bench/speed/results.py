"""Saves figures to a file, and describes the machine."""

import json
import os
import platform
import re
import shutil
import subprocess
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any


def save(path: Path | None, name: str, about: str, results: Any) -> None:
    """Add the results of one benchmark to the file, which has those of others too."""
    if path is None:
        return
    figures = json.loads(path.read_text()) if path.exists() else {}
    figures[name] = {"about": about, "results": _plain(results)}
    path.write_text(json.dumps(figures, indent=1) + "\n")


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return value


def machine() -> str:
    found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    command = [shutil.which("node") or "node", "--version"]
    node = subprocess.run(command, capture_output=True, text=True, check=True)
    return (
        f"{os.cpu_count()} cores of {found[1] if found else 'a CPU'}, {platform.system()}, "
        f"Python {platform.python_version()}, node {node.stdout.strip()}"
    )
