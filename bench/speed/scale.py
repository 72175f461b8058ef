"""What a boot and a registration cost as a fleet grows: `make bench-scale`, some minutes.

Each size is a database of its own; tokens that boot are spread over all its devices. Boots come
first, since registrations add to the fleet.
"""

import argparse
import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import text

from bench.speed.database import filled, settled
from bench.speed.load import Figures, Load
from bench.speed.results import keep, machine
from bench.speed.run import WARM_CONNECTIONS
from bench.speed.subjects import rollcall
from db.database import Database

SIZES = (1_000, 100_000, 1_000_000)
CONNECTIONS = (16, 64)
OPERATIONS = ("boot", "register")
SIZE = "SELECT pg_database_size(current_database()) / 1048576"


@dataclass(frozen=True)
class Scaled:
    """`megabytes` of the database; figures by operation and connections."""

    megabytes: int
    figures: dict[str, dict[int, Figures]]


async def scaled(devices: int, seconds: int) -> Scaled:
    async with filled(devices) as (url, folder):
        size = await _megabytes(url)
        await settled(url)
        load = Load(devices, seconds, Path(os.devnull))
        found: dict[str, dict[int, Figures]] = {}
        with rollcall(url, folder) as subject:
            for operation in OPERATIONS:
                load(subject, operation, "trusted", WARM_CONNECTIONS)
                found[operation] = {n: load(subject, operation, "trusted", n) for n in CONNECTIONS}
    return Scaled(size, found)


async def _megabytes(url: str) -> int:
    database = Database(url)
    async with database.begin() as session:
        size = (await session.execute(text(SIZE))).scalar_one()
    await database.close()
    return int(size)


def table(found: dict[int, Scaled]) -> str:
    """In Markdown; costs against the smallest fleet."""
    lines = [
        "\n| | devices | MB on disk | connections | a second | cost | p50, ms | p99, ms |",
        "|---|---|---|---|---|---|---|---|",
    ]
    least = found[min(found)].figures
    for operation in OPERATIONS:
        for devices, of in found.items():
            for count, f in of.figures[operation].items():
                cost = least[operation][count].rate / f.rate
                lines.append(
                    f"| {operation} | {devices:,} | {of.megabytes:,} | {count} | {f.rate:,.0f} "
                    f"| {cost:.2f} | {f.p50:.1f} | {f.p99:.1f} |{f' {f.wrong}' if f.wrong else ''}"
                )
    return "\n".join(lines)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, nargs="*", default=SIZES)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--json", type=Path, help="a file for the figures")
    chosen = parser.parse_args()
    found = {devices: await scaled(devices, chosen.seconds) for devices in chosen.devices}
    about = f"{chosen.seconds} s each; {machine()}"
    print(about, table(found), sep="\n")
    keep(chosen.json, "scale", about, found)


if __name__ == "__main__":
    asyncio.run(main())
