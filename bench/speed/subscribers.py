"""Measure live subscribers of one process: their cost, and when the last one receives a change.

`make bench-subscribers`: 5,000 WebSockets subscribe to all config changes, at Rollcall and at
Mercurius.
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
from bench.speed.followers import Subscribers
from bench.speed.load import Subject
from bench.speed.process import cpu_seconds, megabytes, quiet
from bench.speed.results import machine, save
from bench.speed.subjects.servers import Start, mercurius, rollcall

DEVICES = 1_000
WAIT_SECONDS = 60
STARTS: tuple[Start, ...] = (mercurius, rollcall)
SUBSCRIPTION = """subscription {
  configChanged { cursor device { id } config { version intervalSeconds } }
}"""
CHANGE = """mutation ($id: ID!, $interval: Int!) {
  updateConfig(input: {deviceId: $id, intervalSeconds: $interval}) { config { version } }
}"""


@dataclass(frozen=True)
class Change:
    """In ms. `first`, `last`: from the request until that subscriber has the change. `server`,
    `client`: CPU time.
    """

    first: float
    last: float
    server: float
    client: float


@dataclass(frozen=True)
class Result:
    """`kilobytes`, `milliseconds`: memory and CPU time of the server for each subscriber."""

    kilobytes: float
    milliseconds: float
    changes: list[Change]


async def measure(subject: Subject, count: int, changes: int) -> Result:
    address = urlsplit(subject.url)
    subscribers = Subscribers((str(address.hostname), int(address.port or 0)), ADMIN, SUBSCRIPTION)
    async with httpx.AsyncClient(base_url=subject.url, timeout=WAIT_SECONDS) as client:
        await _change(client, 0)
        await quiet(subject.pid)
        memory, cpu = megabytes(subject.pid), cpu_seconds(subject.pid)
        await subscribers.add(count)
        await quiet(subject.pid)
        each = (megabytes(subject.pid) - memory) * 1024 / count
        cost = (cpu_seconds(subject.pid) - cpu) * 1000 / count
        times = [
            await _measure_change(client, subscribers, subject.pid, n)
            for n in range(1, changes + 1)
        ]
    assert not subscribers.failures, subscribers.failures[:3]
    subscribers.close()
    return Result(each, cost, times)


async def _measure_change(
    client: httpx.AsyncClient, subscribers: Subscribers, pid: int, number: int
) -> Change:
    arrival = subscribers.next()
    server_cpu, client_cpu, started = cpu_seconds(pid), time.process_time(), time.perf_counter()
    async with asyncio.timeout(WAIT_SECONDS):
        await asyncio.gather(_change(client, number), arrival)
    client_cpu = time.process_time() - client_cpu
    await quiet(pid)
    seen = arrival.result()
    server_cpu = cpu_seconds(pid) - server_cpu
    times = (seen.first - started, seen.last - started, server_cpu, client_cpu)
    return Change(*(seconds * 1000 for seconds in times))


async def _change(client: httpx.AsyncClient, number: int) -> None:
    device = md5(b"1").hexdigest()  # noqa: S324
    body = {"query": CHANGE, "variables": {"id": device, "interval": 100 + number}}
    headers = {"Authorization": f"Bearer {ADMIN}"}
    response = await client.post("/graphql", json=body, headers=headers)
    assert response.json()["data"]["updateConfig"]["config"], response.text


def table(results: dict[str, Result]) -> str:
    """A table in Markdown."""
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
    for name, r in results.items():
        first, last, server, client = (
            statistics.median(getattr(change, key) for change in r.changes)
            for key in ("first", "last", "server", "client")
        )
        lasts = [change.last for change in r.changes]
        lines.append(
            f"| {name} | {r.kilobytes:.1f} | {r.milliseconds:.2f} | {first:.0f} | {last:.0f} "
            f"| {min(lasts):.0f} | {max(lasts):.0f} | {server:.0f} | {client:.0f} |"
        )
    return "\n".join(lines)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5_000)
    parser.add_argument("--changes", type=int, default=10)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    results: dict[str, Result] = {}
    async with filled(DEVICES) as (url, folder):
        for start in STARTS:
            await settled(url)
            with start(url, folder) as subject:
                results[subject.name] = await measure(subject, options.count, options.changes)
    about = f"{options.count:,} subscribers, {options.changes} changes; {machine()}"
    print(about, table(results), sep="\n")
    save(options.json, "subscribers", about, results)


if __name__ == "__main__":
    uvloop.run(main())
