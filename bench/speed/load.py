"""What is asked of a server, and what came of it. wrk makes the load."""

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
# Of an enrolment; its hash is put into the database.
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
    """`rate` a second; `p50` and `p99` in ms; `megabytes` of the process, afterwards."""

    rate: float
    p50: float
    p99: float
    megabytes: float
    wrong: str


def typical(figures: Sequence[Figures]) -> Figures:
    """Medians, each for itself."""
    rate, p50, p99, size = (median(getattr(each, name) for each in figures) for name in NUMBERS)
    return Figures(rate, p50, p99, size, " ".join(each.wrong for each in figures if each.wrong))


@dataclass(frozen=True)
class Subject:
    """A server. `dialects`: ways to ask that it knows, of `trusted` and `plain`; `operations`: what
    it can do.
    """

    name: str
    url: str
    pid: int
    dialects: tuple[str, ...] = ("plain",)
    operations: tuple[str, ...] = ("boot", "list", "register", "change")


class Load:
    """`devices`: as many as there are; `ids`: a file with those that are changed."""

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
        ended = subprocess.run(
            [*command, "-s", str(HERE / "load.lua"), subject.url],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        told = {name: pattern.search(ended.stdout) for name, pattern in PATTERNS.items()}
        assert all(told.values()), ended.stdout
        p50, p99 = (float(told[n][1]) * MILLISECONDS[told[n][2]] for n in ("p50", "p99"))  # type: ignore[index]
        rate = float(told["rate"][1])  # type: ignore[index]
        return Figures(rate, p50, p99, megabytes(subject.pid), ended.stderr.strip())
