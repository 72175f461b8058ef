"""The built assets in the server match the sources in `web/`, the manifest and the size limit."""

import gzip
import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.npm import npm_installed

ROOT = Path(__file__).parent.parent.parent
ASSETS = ROOT / "server" / "endpoints" / "assets"
LOCKS = [
    path
    for path in ROOT.glob("**/package-lock.json")
    if not {"node_modules", ".venv"} & set(path.relative_to(ROOT).parts)
]
MAX_BYTES = 2_000_000


def manifest(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "manifest.json").read_text()))


def test_asset_files_match_the_manifest() -> None:
    listed = manifest(ASSETS)
    files = {path.name for path in ASSETS.iterdir()}
    assert files == {"manifest.json", *(f"{name}.gz" for name in listed)}
    for name, about in listed.items():
        contents = gzip.decompress((ASSETS / f"{name}.gz").read_bytes())
        assert hashlib.sha256(contents).hexdigest() == about["sha256"], name
        assert len(contents) == about["bytes"], name


def test_total_size_of_assets() -> None:
    assert sum(path.stat().st_size for path in ASSETS.iterdir()) < MAX_BYTES


def test_assets_are_reproducible_from_sources(tmp_path: Path) -> None:
    web = npm_installed(ROOT / "web", tmp_path)
    built = tmp_path / "built"
    command = ["node", "build.mjs", str(built)]
    ended = subprocess.run(command, cwd=web, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert manifest(built) == manifest(ASSETS), "run `make web`"


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.parent.name)
def test_locks_name_no_registry(lock: Path) -> None:
    text = lock.read_text()
    assert '"integrity"' in text
    assert "resolved" not in text
