"""Measure how much a Telegram that hangs slows down registrations: `make bench-alerts`.

Two servers run side by side: one without Telegram, one whose Telegram accepts every request and
never responds. Both register devices in alternating small rounds, so that other load on the machine
affects both.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import httpx

from bench.alerts import REGISTER
from bench.serving import ADMIN, ready, serving
from db.embedded import EmbeddedPostgres
from tests.alerts.bot_api import TOKEN, BotApi
from tests.support.telegram.faults import HANG
from tests.support.telegram.methods import METHODS

# Registrations.
ROUND = 25
CHAT = 11
CALLERS = 4


async def measure(database_url: str, count: int) -> str:
    async with AsyncExitStack() as running:
        telegram = await running.enter_async_context(BotApi())
        telegram.knows(CHAT)
        telegram.mix({HANG: 1.0}, 0, methods=METHODS)
        hanging = {
            "TELEGRAM_BOT_TOKEN": TOKEN,
            "TELEGRAM_CHAT_ID": str(CHAT),
            "TELEGRAM_API_URL": telegram.url,
        }
        urls = {}
        for name, environment in (("without", {}), ("hanging", hanging)):
            database = await _database(database_url, f"latency_{name}")
            server = running.enter_context(serving(database, environment=environment))
            urls[name] = await ready(server.output)
        client = await running.enter_async_context(httpx.AsyncClient(timeout=60))
        seconds: dict[str, list[float]] = {name: [] for name in urls}
        for start in range(-2 * ROUND, count, ROUND):
            for name, url in urls.items():
                times = await _round(client, url, start + 2 * ROUND)
                # The first two rounds only warm up.
                if start >= 0:
                    seconds[name] += times
        requests = sum(telegram.calls.values())
    heading = f"registerDevice, ms; {count} each, {CALLERS} at once"
    lines = [f"{heading:48}{'median':>10}{'p99':>10}"]
    for name, title in (("without", "without Telegram"), ("hanging", "Telegram hangs")):
        times = sorted(seconds[name])
        p99 = times[int(len(times) * 0.99)]
        lines.append(f"{title:48}{statistics.median(times) * 1e3:10.2f}{p99 * 1e3:10.2f}")
    return "\n".join([*lines, f"Telegram received {requests} requests and responded to none."])


async def _database(url: str, name: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    return url.replace("/postgres?", f"/{name}?")


async def _round(client: httpx.AsyncClient, url: str, start: int) -> list[float]:
    slots = asyncio.Semaphore(CALLERS)

    async def register(number: int) -> float:
        mac = f"24:6f:28:{number // 65536:02x}:{number // 256 % 256:02x}:{number % 256:02x}"
        body = {"query": REGISTER, "variables": {"mac": mac}}
        headers = {"Authorization": f"Bearer {ADMIN}"}
        async with slots:
            started = time.perf_counter()
            response = await client.post(url, json=body, headers=headers)
            seconds = time.perf_counter() - started
        assert response.json()["data"]["registerDevice"]["device"], response.text
        return seconds

    return await asyncio.gather(*map(register, range(start, start + ROUND)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rollcall-") as folder:
        postgres = EmbeddedPostgres(Path(folder))
        try:
            print(asyncio.run(measure(postgres.start(), options.count)))
        finally:
            postgres.stop()


if __name__ == "__main__":
    main()
