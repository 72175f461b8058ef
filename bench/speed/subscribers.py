"""Live subscribers of one process: what each costs, and when the last has heard of a change.

`make bench-subscribers`: 5,000 WebSockets follow all config changes, of Rollcall and of Mercurius.
"""

import argparse
import asyncio
import resource
import statistics
import time
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import uvloop

from bench.serving import ADMIN
from bench.speed.database import filled, settled
from bench.speed.followers import Crowd
from bench.speed.load import Subject
from bench.speed.process import cpu_seconds, megabytes, quiet
from bench.speed.results import keep, machine
from bench.speed.subjects import Started, mercurius, rollcall

DEVICES = 1_000
WAIT_SECONDS = 60
STARTS: tuple[Started, ...] = (mercurius, rollcall)
SUBSCRIPTION = """subscription {
  configChanged { cursor device { id } config { version intervalSeconds } }
}"""
CHANGE = """mutation ($id: ID!, $interval: Int!) {
  updateConfig(input: {deviceId: $id, intervalSeconds: $interval}) { config { version } }
}"""


@dataclass(frozen=True)
class Change:
    """Milliseconds from the request until the first and the last have it, and of work meanwhile."""

    first: float
    last: float
    server: float
    client: float


@dataclass(frozen=True)
class Followed:
    """`kilobytes` and `milliseconds` of the server for each that subscribes."""

    kilobytes: float
    milliseconds: float
    changes: list[Change]


async def followed(subject: Subject, count: int, changes: int) -> Followed:
    address = urlsplit(subject.url)
    crowd = Crowd((str(address.hostname), int(address.port or 0)), ADMIN, SUBSCRIPTION)
    async with httpx.AsyncClient(base_url=subject.url, timeout=WAIT_SECONDS) as client:
        await _change(client, 0)
        await quiet(subject.pid)
        before, worked = megabytes(subject.pid), cpu_seconds(subject.pid)
        await crowd.grow(count)
        await quiet(subject.pid)
        each = (megabytes(subject.pid) - before) * 1024 / count
        cost = (cpu_seconds(subject.pid) - worked) * 1000 / count
        times = [await _timed(client, crowd, subject.pid, n) for n in range(1, changes + 1)]
    assert not crowd.broken, crowd.broken[:3]
    crowd.close()
    return Followed(each, cost, times)


async def _timed(client: httpx.AsyncClient, crowd: Crowd, pid: int, number: int) -> Change:
    arrival = crowd.next()
    theirs, ours, began = cpu_seconds(pid), time.process_time(), time.perf_counter()
    async with asyncio.timeout(WAIT_SECONDS):
        await asyncio.gather(_change(client, number), arrival)
    ours = time.process_time() - ours
    await quiet(pid)
    seen = arrival.result()
    times = (seen.first - began, seen.last - began, cpu_seconds(pid) - theirs, ours)
    return Change(*(seconds * 1000 for seconds in times))


async def _change(client: httpx.AsyncClient, number: int) -> None:
    device = md5(b"1").hexdigest()  # noqa: S324
    body = {"query": CHANGE, "variables": {"id": device, "interval": 100 + number}}
    headers = {"Authorization": f"Bearer {ADMIN}"}
    answer = await client.post("/graphql", json=body, headers=headers)
    assert answer.json()["data"]["updateConfig"]["config"], answer.text


def table(found: dict[str, Followed]) -> str:
    """In Markdown."""
    head = (
        "KB each",
        "ms to subscribe",
        "first has it, ms",
        "last has it, ms",
        "fastest",
        "slowest",
    )
    work = ("server busy, ms", "client busy, ms")
    lines = ["", "| | " + " | ".join((*head, *work)) + " |", "|---" * 9 + "|"]
    for name, f in found.items():
        first, last, server, client = (
            statistics.median(getattr(change, what) for change in f.changes)
            for what in ("first", "last", "server", "client")
        )
        lasts = [change.last for change in f.changes]
        lines.append(
            f"| {name} | {f.kilobytes:.1f} | {f.milliseconds:.2f} | {first:.0f} | {last:.0f} "
            f"| {min(lasts):.0f} | {max(lasts):.0f} | {server:.0f} | {client:.0f} |"
        )
    return "\n".join(lines)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5_000)
    parser.add_argument("--changes", type=int, default=10)
    parser.add_argument("--json", type=Path, help="a file for the figures")
    chosen = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    found: dict[str, Followed] = {}
    async with filled(DEVICES) as (url, folder):
        for start in STARTS:
            await settled(url)
            with start(url, folder) as subject:
                found[subject.name] = await followed(subject, chosen.count, chosen.changes)
    about = f"{chosen.count:,} subscribers, {chosen.changes} changes; {machine()}"
    print(about, table(found), sep="\n")
    keep(chosen.json, "subscribers", about, found)


if __name__ == "__main__":
    uvloop.run(main())
