"""A clock that jumps, for the processes that a test starts (libfaketime)."""

import os
from pathlib import Path

import pytest

LIBRARIES = ("/usr/lib", "/usr/local/lib", "/opt/homebrew/lib")
NAME = "libfaketimeMT.so.1"


def library() -> Path:
    """Skips the test where there is no libfaketime; with CI=true that is a failure."""
    for folder in LIBRARIES:
        found = next(Path(folder).glob(f"**/{NAME}"), None)
        if found:
            return found
    if os.environ.get("CI") == "true":
        pytest.fail("faketime is not installed.")
    pytest.skip("needs faketime")


class FakeClock:
    """`environment`: of the processes that are to have this clock. What measures lengths of time
    (CLOCK_MONOTONIC) goes on as it does.
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
        """So many seconds ahead of the machine's clock."""
        draft = self._file.with_suffix(".draft")
        draft.write_text(f"{ahead:+d}\n")
        draft.chmod(0o644)
        draft.replace(self._file)
