"""Live subscribers of one process: what each costs, and when the last has heard of a change.

`make bench-subscribers`: 5,000 WebSockets follow all config changes, of Rollcall and of Mercurius.
"""

import argparse
import asyncio
import resource
import statistics
import tempfile
import time
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import uvloop

from bench.serving import ADMIN
from bench.speed.followers import Crowd
from bench.speed.load import Subject, megabytes
from bench.speed.results import keep
from bench.speed.run import machine, prepared, settled
from bench.speed.subjects import Started, mercurius, rollcall
from db.embedded import EmbeddedPostgres

DEVICES = 1_000
FILES = 12_000
WAIT_SECONDS = 60
QUIET_SECONDS = 3
SUBSCRIPTION = """subscription {
  configChanged { cursor device { id } config { version intervalSeconds qos updatedAt } }
}"""
CHANGE = """mutation ($id: ID!, $interval: Int!) {
  updateConfig(input: {deviceId: $id, intervalSeconds: $interval}) { config { version } }
}"""


@dataclass(frozen=True)
class Heard:
    """`kilobytes` for each subscriber; milliseconds from a change until the last one has it."""

    kilobytes: float
    median: float
    fastest: float
    slowest: float
    client_share: float


async def heard(subject: Subject, count: int, changes: int) -> Heard:
    address = urlsplit(subject.url)
    assert address.hostname
    assert address.port
    crowd = Crowd(address.hostname, address.port, ADMIN, SUBSCRIPTION)
    async with httpx.AsyncClient(base_url=subject.url) as client:
        await _change(client, 0)
        before = megabytes(subject.pid)
        await crowd.grow(count)
        await asyncio.sleep(QUIET_SECONDS)
        each = (megabytes(subject.pid) - before) * 1024 / count
        times = []
        busy = time.process_time()
        for number in range(1, changes + 1):
            last = crowd.all_have(number)
            began = time.perf_counter()
            await _change(client, number)
            async with asyncio.timeout(WAIT_SECONDS):
                times.append((await last - began) * 1000)
        busy = (time.process_time() - busy) / sum(times) * 1000
    assert not crowd.broken, crowd.broken[:3]
    crowd.close()
    return Heard(each, statistics.median(times), min(times), max(times), busy)


async def _change(client: httpx.AsyncClient, number: int) -> None:
    device = md5(b"1").hexdigest()  # noqa: S324
    body = {"query": CHANGE, "variables": {"id": device, "interval": 100 + number}}
    headers = {"Authorization": f"Bearer {ADMIN}"}
    answer = await client.post("/graphql", json=body, headers=headers)
    assert answer.json()["data"]["updateConfig"]["config"], answer.text


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5_000)
    parser.add_argument("--changes", type=int, default=10)
    parser.add_argument("--json", type=Path, help="a file for the figures")
    chosen = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    found: dict[str, Heard] = {}
    with tempfile.TemporaryDirectory(prefix="rollcall-") as name:
        folder = Path(name)
        postgres = EmbeddedPostgres(folder)
        try:
            url = postgres.start()
            await prepared(url, DEVICES)
            starts: tuple[Started, ...] = (mercurius, rollcall)
            for start in starts:
                await settled(url)
                with start(url, folder) as subject:
                    found[subject.name] = await heard(subject, chosen.count, chosen.changes)
        finally:
            postgres.stop()
    about = f"{chosen.count:,} subscribers, {chosen.changes} changes; {machine()}"
    print(about, table(found), sep="\n")
    keep(chosen.json, "subscribers", about, found)


def table(found: dict[str, Heard]) -> str:
    """In Markdown."""
    lines = [
        "\n| | KB each | last has it, ms: median | fastest | slowest | client busy |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {f.kilobytes:.1f} | {f.median:.0f} | {f.fastest:.0f} | {f.slowest:.0f} "
        f"| {f.client_share:.0%} |"
        for name, f in found.items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    uvloop.run(main())
