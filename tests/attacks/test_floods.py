"""Floods of connections, heads, bodies, frames and packets, from many addresses."""

import asyncio
import resource
from collections.abc import AsyncIterator

import psutil
import pytest
import pytest_asyncio

from bench.fuzz.floods import KINDS, Kind, flood
from bench.fuzz.message import Target
from bench.fuzz.server import fuzzed_server
from tests.conftest import new_database
from tests.support.waiting import until

MAX_MEGABYTES = 400
# Of the memory before the flood, once the allocator and the caches have grown.
LEFT = 1.2
LEFT_SECONDS = 30
# Longer than the server waits before it gives memory back.
SETTLE_SECONDS = 8
IN_THE_GATE = ("unfinished heads", "unfinished bodies", "unfinished frames", "MQTT CONNECT")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def flooded(postgres: str, template: str) -> AsyncIterator[tuple[psutil.Process, Target]]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(10_000, hard), hard))
    async with (
        new_database(postgres, template) as url,
        fuzzed_server(url, metered=False, rate_limits="on") as (server, _, target),
    ):
        process = psutil.Process(server.pid)
        await _flood(process, target, KINDS["unfinished bodies for brokers"])
        yield process, target
        assert "Traceback" not in server.output.read_text()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    "kind",
    [pytest.param(name, marks=() if name in IN_THE_GATE else pytest.mark.slow) for name in KINDS],
)
async def test_flood_takes_little_memory(flooded: tuple[psutil.Process, Target], kind: str) -> None:
    process, target = flooded
    await _flood(process, target, KINDS[kind])
    before = await _lowest(process)
    peak = await _flood(process, target, KINDS[kind])
    assert peak < MAX_MEGABYTES
    await until(lambda: _megabytes(process) < before * LEFT, LEFT_SECONDS)


async def _flood(process: psutil.Process, target: Target, kind: Kind) -> float:
    """Return the largest memory during the flood, in MB."""
    peak = 0.0

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, _megabytes(process))
            await asyncio.sleep(0.05)

    watching = asyncio.create_task(watch())
    for _ in range(kind.rounds):
        async with flood(target, kind, kind.count):
            await asyncio.sleep(0.5)
    watching.cancel()
    return peak


async def _lowest(process: psutil.Process) -> float:
    """Return the smallest memory within SETTLE_SECONDS, in MB."""
    found = []
    for _ in range(SETTLE_SECONDS * 5):
        found.append(_megabytes(process))
        await asyncio.sleep(0.2)
    return min(found)


def _megabytes(process: psutil.Process) -> float:
    return float(process.memory_info().rss / 2**20)
