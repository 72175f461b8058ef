"""Memory and CPU time of a process, from /proc."""

import asyncio
import os
import re
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
SAMPLE_SECONDS = 0.5
# Of a core.
QUIET_SHARE = 0.05


def megabytes(pid: int) -> float:
    """Resident memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0


def cpu_seconds(pid: int) -> float:
    """User and system time."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def quiet(pid: int, seconds: float = 60) -> None:
    """Wait until the process is almost idle. Raises TimeoutError if it is not in time."""
    async with asyncio.timeout(seconds):
        share = 1.0
        while share > QUIET_SHARE:
            before = cpu_seconds(pid)
            await asyncio.sleep(SAMPLE_SECONDS)
            share = (cpu_seconds(pid) - before) / SAMPLE_SECONDS
