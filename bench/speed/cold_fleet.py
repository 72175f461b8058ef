"""Register 50,000 new devices at once at a server that has just started: `make bench-cold-fleet`.

Each registers with an enrolment key, and all boot with their tokens: first over keep-alive
connections, then, with a new database, over a TCP connection for each request, as ESP32s do.
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
from bench.speed.newcomers import NewDevices
from bench.speed.process import cpu_seconds
from bench.speed.results import machine, save
from bench.speed.subjects.servers import rollcall
from db.postgres.database import Database

# By name: number of concurrent connections; keep-alive.
MODES = {
    "16 connections, kept": (16, True),
    "64 connections, kept": (64, True),
    "a connection each, 256 at a time": (256, False),
}
COUNTS = (
    "SELECT count(*) FROM devices",
    "SELECT count(*) FROM tokens WHERE kind = 'device'",
    "SELECT count(*) FROM events WHERE kind = 'device_registered'",
)


HEADER = (
    "| | last token, s | per second | p50, ms | p99, ms | slowest, ms | server | client "
    "| and all booted, s | register, CPU ms | first boot, CPU ms |"
)


@dataclass(frozen=True)
class Result:
    """`seconds`: until the last device has its token. `p50`, `p99`, `slowest`: of one registration,
    in ms. `server`, `client`: load while registering, as a share of a core. `boot_seconds`: until
    the last of the boots, which follow. `register_cpu`, `boot_cpu`: the server's processor time for
    each device, in ms. `written`: new devices, tokens and events in the database.
    """

    seconds: float
    p50: float
    p99: float
    slowest: float
    server: float
    client: float
    boot_seconds: float
    register_cpu: float
    boot_cpu: float
    written: list[int]


async def measure(count: int, connections: int, *, keep_alive: bool) -> Result:
    async with filled(1) as (url, folder):
        before = await _counts(url)
        with rollcall(url, folder) as subject:
            address = urlsplit(subject.url)
            target = (str(address.hostname), int(address.port or 0))
            devices = NewDevices(target, count, connections, keep_alive=keep_alive)
            server, client = cpu_seconds(subject.pid), time.process_time()
            seconds = await devices.register()
            registered, client = cpu_seconds(subject.pid), time.process_time() - client
            boot_seconds = await devices.boot()
            booted = cpu_seconds(subject.pid)
        written = [
            after - earlier for after, earlier in zip(await _counts(url), before, strict=True)
        ]
    assert not devices.failed, (len(devices.failed), devices.failed[:3])
    assert written == [count] * len(COUNTS), written
    parts = statistics.quantiles(devices.times, n=100)
    return Result(
        seconds,
        parts[49],
        parts[98],
        max(devices.times),
        (registered - server) / seconds,
        client / seconds,
        boot_seconds,
        (registered - server) / count * 1000,
        (booted - registered) / count * 1000,
        written,
    )


async def _counts(url: str) -> list[int]:
    database = Database(url)
    async with database.transaction() as session:
        counts = [int((await session.execute(text(sql))).scalar_one()) for sql in COUNTS]
    await database.close()
    return counts


def table(count: int, results: Iterable[tuple[str, Result]]) -> str:
    """A table in Markdown."""
    lines = [
        "",
        HEADER,
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {r.seconds:.1f} | {count / r.seconds:,.0f} | {r.p50:.1f} | {r.p99:.1f} "
        f"| {r.slowest:.0f} | {r.server:.0%} | {r.client:.0%} "
        f"| {r.seconds + r.boot_seconds:.1f} | {r.register_cpu:.2f} | {r.boot_cpu:.2f} |"
        for name, r in results
    ]
    return "\n".join(lines)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    results = {
        name: await measure(options.count, connections, keep_alive=keep_alive)
        for name, (connections, keep_alive) in MODES.items()
    }
    about = f"{options.count:,} new devices, none failed; {machine()}"
    print(about, table(options.count, results.items()), sep="\n")
    save(options.json, "cold fleet", about, results)


if __name__ == "__main__":
    uvloop.run(main())
