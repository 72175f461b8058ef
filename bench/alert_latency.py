"""What a Telegram that hangs costs whoever registers: `make bench-alerts`.

Two servers side by side, one without Telegram, one whose Telegram takes every call and answers
none. Both register devices in turn, in small rounds, so that whatever else the machine does meets
both.
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
        for name, outside in (("without", {}), ("hanging", hanging)):
            own = await _database(database_url, f"latency_{name}")
            server = running.enter_context(serving(own, outside=outside))
            urls[name] = await ready(server.output)
        client = await running.enter_async_context(httpx.AsyncClient(timeout=60))
        took: dict[str, list[float]] = {name: [] for name in urls}
        for start in range(-2 * ROUND, count, ROUND):
            for name, url in urls.items():
                found = await _round(client, url, start + 2 * ROUND)
                if start >= 0:
                    took[name] += found
        asked = sum(telegram.calls.values())
    heading = f"registerDevice, ms; {count} each, {CALLERS} at once"
    lines = [f"{heading:48}{'median':>10}{'p99':>10}"]
    for name, title in (("without", "without Telegram"), ("hanging", "Telegram hangs")):
        times = sorted(took[name])
        p99 = times[int(len(times) * 0.99)]
        lines.append(f"{title:48}{statistics.median(times) * 1e3:10.2f}{p99 * 1e3:10.2f}")
    return "\n".join([*lines, f"Telegram was asked {asked} times meanwhile, and answered none."])


async def _database(url: str, name: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    return url.replace("/postgres?", f"/{name}?")


async def _round(client: httpx.AsyncClient, url: str, start: int) -> list[float]:
    places = asyncio.Semaphore(CALLERS)

    async def one(number: int) -> float:
        mac = f"24:6f:28:{number // 65536:02x}:{number // 256 % 256:02x}:{number % 256:02x}"
        body = {"query": REGISTER, "variables": {"mac": mac}}
        async with places:
            began = time.perf_counter()
            answer = await client.post(url, json=body, headers={"Authorization": f"Bearer {ADMIN}"})
            took = time.perf_counter() - began
        assert answer.json()["data"]["registerDevice"]["device"], answer.text
        return took

    return await asyncio.gather(*map(one, range(start, start + ROUND)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rollcall-") as folder:
        postgres = EmbeddedPostgres(Path(folder))
        try:
            print(asyncio.run(measure(postgres.start(), chosen.count)))
        finally:
            postgres.stop()


if __name__ == "__main__":
    main()
