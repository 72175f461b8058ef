"""An adjustable clock for the processes that a test starts (libfaketime)."""

import os
from pathlib import Path

import pytest

LIBRARIES = ("/usr/lib", "/usr/local/lib", "/opt/homebrew/lib")
NAME = "libfaketimeMT.so.1"


def library() -> Path:
    """Skip the test if libfaketime is not installed; fail it if CI=true."""
    for folder in LIBRARIES:
        found = next(Path(folder).glob(f"**/{NAME}"), None)
        if found:
            return found
    if os.environ.get("CI") == "true":
        pytest.fail("faketime is not installed.")
    pytest.skip("needs faketime")


class FakeClock:
    """`environment`: variables for the processes that use this clock. CLOCK_MONOTONIC is not
    changed.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "offset"
        self.set(0)
        self._file.chmod(0o644)
        self.environment = {
            "LD_PRELOAD": str(library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, ahead: int) -> None:
        """`ahead`: seconds ahead of the machine's clock."""
        temporary = self._file.with_suffix(".tmp")
        temporary.write_text(f"{ahead:+d}\n")
        temporary.chmod(0o644)
        temporary.replace(self._file)
