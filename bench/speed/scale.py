"""Measure boots and registrations as a fleet grows: `make bench-scale`, some minutes.

Each size has a separate database and server, and they are measured alternately. Boots use tokens of
all devices at random. Boots come first, since registrations enlarge the fleet.
"""

import argparse
import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from sqlalchemy import text

from bench.speed.database import filled, settled
from bench.speed.load import Load, Subject
from bench.speed.results import machine, save
from bench.speed.run import WARM_CONNECTIONS
from bench.speed.subjects.servers import rollcall
from db.postgres.database import Database

SIZES = (1_000, 100_000, 1_000_000)
CONNECTIONS = (16, 64)
OPERATIONS = ("boot", "register")
ROUNDS = 5
# PostgreSQL's manual advises a quarter of the memory; by default it takes 128 MB.
BUFFERS = "1GB"
SIZE = "SELECT pg_database_size(current_database()) / 1048576"


@dataclass(frozen=True)
class Fleet:
    """A server with its devices. `megabytes`: size of the database."""

    subject: Subject
    load: Load
    megabytes: int


@dataclass(frozen=True)
class Cost:
    """Medians. `cost`: relative to the smallest fleet in the same round."""

    rate: float
    cost: float
    p50: float
    p99: float


Results = dict[str, dict[int, dict[int, Cost]]]
"""By operation, connections and devices."""


@asynccontextmanager
async def fleet(devices: int, seconds: int) -> AsyncIterator[Fleet]:
    async with filled(devices, shared_buffers=BUFFERS) as (url, folder):
        size = await _megabytes(url)
        await settled(url)
        with rollcall(url, folder) as subject:
            yield Fleet(subject, Load(devices, seconds, Path(os.devnull)), size)


def compare(fleets: dict[int, Fleet], operation: str, connections: int) -> dict[int, Cost]:
    """Costs by devices. Compares within a round, since the speed of a machine varies."""
    rounds = [
        {n: f.load(f.subject, operation, "trusted", connections) for n, f in fleets.items()}
        for _ in range(ROUNDS)
    ]
    wrong = [figures.wrong for each in rounds for figures in each.values() if figures.wrong]
    assert not wrong, wrong
    smallest = min(fleets)
    return {
        devices: Cost(
            median(each[devices].rate for each in rounds),
            median(each[smallest].rate / each[devices].rate for each in rounds),
            median(each[devices].p50 for each in rounds),
            median(each[devices].p99 for each in rounds),
        )
        for devices in fleets
    }


async def _megabytes(url: str) -> int:
    database = Database(url)
    async with database.transaction() as session:
        size = (await session.execute(text(SIZE))).scalar_one()
    await database.close()
    return int(size)


def table(results: Results) -> str:
    """A table in Markdown."""
    lines = [
        "\n| | connections | devices | per second | cost | p50, ms | p99, ms |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {operation} | {count} | {devices:,} | {c.rate:,.0f} | {c.cost:.2f} | {c.p50:.1f} "
        f"| {c.p99:.1f} |"
        for operation, by_count in results.items()
        for count, by_devices in by_count.items()
        for devices, c in by_devices.items()
    ]
    return "\n".join(lines)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, nargs="*", default=SIZES)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    results: Results = {}
    async with AsyncExitStack() as stack:
        fleets = {
            devices: await stack.enter_async_context(fleet(devices, options.seconds))
            for devices in options.devices
        }
        for operation in OPERATIONS:
            for each in fleets.values():
                each.load(each.subject, operation, "trusted", WARM_CONNECTIONS)
            results[operation] = {n: compare(fleets, operation, n) for n in CONNECTIONS}
        sizes = ", ".join(f"{devices:,} in {f.megabytes:,} MB" for devices, f in fleets.items())
    about = (
        f"{sizes}, shared_buffers {BUFFERS}; {ROUNDS} rounds of {options.seconds} s; {machine()}"
    )
    print(about, table(results), sep="\n")
    save(options.json, "scale", about, results)


if __name__ == "__main__":
    asyncio.run(main())
