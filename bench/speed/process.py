"""A process that is measured, as the kernel accounts for it."""

import asyncio
import os
import re
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
LOOK_SECONDS = 0.5
QUIET_SHARE = 0.05


def megabytes(pid: int) -> float:
    """That it holds in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0


def cpu_seconds(pid: int) -> float:
    """That it has used, in its own code and in the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def quiet(pid: int, seconds: float = 60) -> None:
    """When it does next to nothing. Raises TimeoutError where it never does."""
    async with asyncio.timeout(seconds):
        share = 1.0
        while share > QUIET_SHARE:
            before = cpu_seconds(pid)
            await asyncio.sleep(LOOK_SECONDS)
            share = (cpu_seconds(pid) - before) / LOOK_SECONDS
