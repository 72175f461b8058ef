"""Sends requests to a server with wrk, and returns the figures."""

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.serving import ADMIN
from bench.speed.process import megabytes

HERE = Path(__file__).parent
# The enrolment key; its hash is inserted into the database.
KEY = "rce_000000000000000000000000"
PATTERNS = {
    "rate": re.compile(r"Requests/sec:\s+([\d.]+)"),
    "p50": re.compile(r"50%\s+([\d.]+)(us|ms|s)"),
    "p99": re.compile(r"99%\s+([\d.]+)(us|ms|s)"),
}
NUMBERS = ("rate", "p50", "p99", "megabytes")
MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True)
class Figures:
    """`rate`: requests per second. `p50`, `p99`: in ms. `megabytes`: memory of the process at the
    end. `wrong`: wrong responses; empty if there are none.
    """

    rate: float
    p50: float
    p99: float
    megabytes: float
    wrong: str


def typical(figures: Sequence[Figures]) -> Figures:
    """Medians, separately for each figure."""
    rate, p50, p99, size = (median(getattr(each, name) for each in figures) for name in NUMBERS)
    return Figures(rate, p50, p99, size, " ".join(each.wrong for each in figures if each.wrong))


@dataclass(frozen=True)
class Subject:
    """A server that is measured. `dialects`: kinds of documents that it accepts, of `trusted` and
    `plain`. `operations`: those that it implements.
    """

    name: str
    url: str
    pid: int
    dialects: tuple[str, ...] = ("plain",)
    operations: tuple[str, ...] = ("boot", "list", "register", "change")


class Load:
    """`devices`: number of devices in the database. `ids`: file with the ids of those to change."""

    def __init__(self, devices: int, seconds: int, ids: Path) -> None:
        self._devices = devices
        self._seconds = seconds
        self._ids = ids
        self._base = 0x300000000000

    def __call__(self, subject: Subject, operation: str, dialect: str, connections: int) -> Figures:
        self._base += 10_000_000
        environment = {
            **os.environ,
            "OPERATION": operation,
            "DIALECT": dialect,
            "TOKEN": KEY if operation == "register" else ADMIN,
            "DEVICES": str(self._devices),
            "IDS": str(self._ids),
            "BASE": str(self._base),
        }
        command = ["wrk", "-t1", f"-c{connections}", f"-d{self._seconds}", "--latency"]
        result = subprocess.run(
            [*command, "-s", str(HERE / "load.lua"), subject.url],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        matches = {name: pattern.search(result.stdout) for name, pattern in PATTERNS.items()}
        assert all(matches.values()), result.stdout
        p50, p99 = (float(matches[n][1]) * MILLISECONDS[matches[n][2]] for n in ("p50", "p99"))  # type: ignore[index]
        rate = float(matches["rate"][1])  # type: ignore[index]
        return Figures(rate, p50, p99, megabytes(subject.pid), result.stderr.strip())
