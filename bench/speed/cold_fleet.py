"""50,000 devices that nobody knows, all at once, at a server that has just started.

`make bench-cold-fleet`: each registers with an enrolment key, over 64 connections that are kept,
and then, at a new database, over a TCP connection of its own, as ESP32s do.
"""

import argparse
import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import uvloop
from sqlalchemy import text

from bench.speed.database import filled
from bench.speed.newcomers import Newcomers
from bench.speed.process import cpu_seconds
from bench.speed.results import keep, machine
from bench.speed.subjects import rollcall
from db.postgres.database import Database

# By name: how many connections at a time, and whether they are kept.
WAYS = {"64 connections, kept": (64, True), "a connection each, 256 at a time": (256, False)}
COUNTS = (
    "SELECT count(*) FROM devices",
    "SELECT count(*) FROM tokens WHERE kind = 'device'",
    "SELECT count(*) FROM events WHERE kind = 'device_registered'",
)


@dataclass(frozen=True)
class Arrived:
    """Seconds until the last has its token; milliseconds of each; shares of a core; how many
    devices, tokens and events are new in the database.
    """

    seconds: float
    p50: float
    p99: float
    slowest: float
    server: float
    client: float
    written: list[int]


async def arrived(count: int, connections: int, *, kept: bool) -> Arrived:
    async with filled(1) as (url, folder):
        before = await _counted(url)
        with rollcall(url, folder) as subject:
            address = urlsplit(subject.url)
            newcomers = Newcomers((str(address.hostname), int(address.port or 0)), count)
            theirs, ours = cpu_seconds(subject.pid), time.process_time()
            seconds = await newcomers.come(connections, kept=kept)
            theirs = (cpu_seconds(subject.pid) - theirs) / seconds
            ours = (time.process_time() - ours) / seconds
        written = [after - was for after, was in zip(await _counted(url), before, strict=True)]
    assert not newcomers.failed, (len(newcomers.failed), newcomers.failed[:3])
    assert written == [count] * len(COUNTS), written
    parts = statistics.quantiles(newcomers.times, n=100)
    return Arrived(seconds, parts[49], parts[98], max(newcomers.times), theirs, ours, written)


async def _counted(url: str) -> list[int]:
    database = Database(url)
    async with database.transaction() as session:
        counts = [int((await session.execute(text(sql))).scalar_one()) for sql in COUNTS]
    await database.close()
    return counts


def table(count: int, found: Iterable[tuple[str, Arrived]]) -> str:
    """In Markdown."""
    lines = [
        "\n| | last has its token, s | a second | p50, ms | p99, ms | slowest | server | client |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {f.seconds:.1f} | {count / f.seconds:,.0f} | {f.p50:.1f} | {f.p99:.1f} "
        f"| {f.slowest:.0f} | {f.server:.0%} | {f.client:.0%} |"
        for name, f in found
    ]
    return "\n".join(lines)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--json", type=Path, help="a file for the figures")
    chosen = parser.parse_args()
    found = {
        name: await arrived(chosen.count, connections, kept=kept)
        for name, (connections, kept) in WAYS.items()
    }
    about = f"{chosen.count:,} new devices, none failed; {machine()}"
    print(about, table(chosen.count, found.items()), sep="\n")
    keep(chosen.json, "cold fleet", about, found)


if __name__ == "__main__":
    uvloop.run(main())
