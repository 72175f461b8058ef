"""Check that no alert is lost while the server is killed and Telegram fails: `make soak-alerts`.

The server is killed (kill -9) 200 times at random points during 2,000 events. A stand-in for
Telegram is slow, refuses, hangs, and drops connections after it has accepted a message. At the end
each event has reached each chat, alone or in a digest that counts it. Only a message that was being
sent during a failure may arrive twice.
"""

import argparse
import asyncio
import random
import re
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import text

from bench.serving import ADMIN, Serving, ready, serving
from db.embedded import EmbeddedPostgres
from db.postgres.database import Database
from tests.alerts.bot_api import TOKEN, BotApi, Sent
from tests.support.telegram import faults
from tests.support.telegram.faults import Fault

CHATS = (11, 22, -33)
CALLERS = 4
SETTLE_SECONDS = 300
MIX = {
    Fault("slow", 0.3): 0.05,
    faults.HANG: 0.01,
    Fault("too_many", 1): 0.05,
    Fault("bad_gateway"): 0.05,
    Fault("drop_before"): 0.05,
    Fault("drop_after"): 0.05,
    Fault("truncated"): 0.05,
}
REGISTER = """mutation ($mac: String!) {
  registerDevice(input: {
    mac: $mac, owner: "Acme", location: {place: "Paris"}, measurementType: "temperature"
  }) { device { id } }
}"""
EVENTS = """
SELECT e.id FROM events e WHERE e.kind = 'device_registered' ORDER BY e.id
"""
# The event ids in a message.
NUMBERS = re.compile(r"#(\d+)(?: to #(\d+))?$")


class KilledServer:
    """A server that is killed and restarted."""

    def __init__(self, database_url: str, telegram: BotApi) -> None:
        self.database_url = database_url
        self.environment = {
            "TELEGRAM_BOT_TOKEN": TOKEN,
            "TELEGRAM_CHAT_ID": ",".join(map(str, CHATS)),
            "TELEGRAM_API_URL": telegram.url,
        }
        self.stack = ExitStack()
        self.server: Serving | None = None
        self.url = ""

    async def start(self) -> None:
        started = serving(self.database_url, environment=self.environment)
        self.server = self.stack.enter_context(started)
        self.url = await ready(self.server.output)

    async def kill(self) -> None:
        assert self.server
        self.server.kill()
        self.stack.pop_all().close()
        await self.start()


async def soak(database_url: str, count: int, kills: int) -> str:
    seed = random.randrange(10**6)
    async with BotApi() as telegram:
        for chat in CHATS:
            telegram.knows(chat)
        telegram.mix(MIX, seed)
        server = KilledServer(database_url, telegram)
        try:
            await server.start()
            started = time.monotonic()
            registrations = asyncio.create_task(_register(server, count))
            for _ in range(kills):
                await asyncio.sleep(random.uniform(0.1, 1.5))
                await server.kill()
            await registrations
            events = await _all_sent(database_url, telegram)
        finally:
            server.stack.close()
        twice = sum(_check(telegram.messages(chat), events) for chat in CHATS)
    seconds = time.monotonic() - started
    return (
        f"{len(events)} events, {kills} kills in {seconds:.0f} s (seed {seed}): each reached each "
        f"of {len(CHATS)} chats; {twice} of {len(telegram.messages())} messages repeat an event"
    )


async def _register(server: KilledServer, count: int) -> None:
    slots = asyncio.Semaphore(CALLERS)
    headers = {"Authorization": f"Bearer {ADMIN}"}

    async def register(client: httpx.AsyncClient, number: int) -> None:
        mac = f"24:6f:28:{number // 65536:02x}:{number // 256 % 256:02x}:{number % 256:02x}"
        body = {"query": REGISTER, "variables": {"mac": mac}}
        async with slots:
            while True:
                with suppress(httpx.TransportError):
                    response = await client.post(server.url, json=body, headers=headers)
                    if response.status_code == 200:
                        return
                await asyncio.sleep(0.05)

    async with httpx.AsyncClient(timeout=20) as client:
        await asyncio.gather(*(register(client, number) for number in range(count)))


async def _all_sent(database_url: str, telegram: BotApi) -> list[int]:
    """Wait until all deliveries are sent; return the ids of the events."""
    database = Database(database_url)
    try:
        async with asyncio.timeout(SETTLE_SECONDS):
            while True:
                async with database.transaction() as session:
                    events = list(await session.scalars(text(EVENTS)))
                    sent = "SELECT count(*) FROM deliveries WHERE state = 'sent'"
                    done = (await session.execute(text(sent))).scalar_one()
                if done >= len(events) * len(CHATS):
                    return events
                telegram.behave()
                await asyncio.sleep(0.5)
    finally:
        await database.close()


def _check(messages: list[Sent], events: list[int]) -> int:
    """Check that the messages have each event, in order. Return how many repeat an event."""
    reached, seen, twice = 0, set[int](), 0
    for message in messages:
        match = NUMBERS.search(message.text)
        assert match, message.text
        first, last = int(match[1]), int(match[2] or match[1])
        covered = {id for id in events if first <= id <= last}
        twice += bool(covered & seen)
        assert covered <= seen or first <= _next(events, reached), (message.text, reached)
        seen |= covered
        reached = max(reached, last)
    assert seen == set(events), sorted(set(events) - seen)[:5]
    return twice


def _next(events: list[int], reached: int) -> int:
    return min((id for id in events if id > reached), default=reached)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=2_000)
    parser.add_argument("--deaths", type=int, default=200)
    options: Any = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rollcall-") as folder:
        postgres = EmbeddedPostgres(Path(folder))
        try:
            print(asyncio.run(soak(postgres.start(), options.events, options.deaths)))
        finally:
            postgres.stop()


if __name__ == "__main__":
    main()
