"""Alerts while the server is killed and Telegram misbehaves: does everybody learn of everything?

`make soak-alerts`: 200 deaths by kill -9 at random points during 2,000 events, and a stand-in for
Telegram that is slow, refuses, hangs, and drops connections after it has taken a message. At the
end each event has reached each chat, alone or in a digest that counts it, and what arrived twice
was on its way when something broke.
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
TOLD = """
SELECT e.id FROM events e WHERE e.kind = 'device_registered' ORDER BY e.id
"""
NUMBERS = re.compile(r"#(\d+)(?: to #(\d+))?$")


class Stage:
    """A server that dies, and is there again."""

    def __init__(self, database_url: str, telegram: BotApi) -> None:
        self.database_url = database_url
        self.environment = {
            "TELEGRAM_BOT_TOKEN": TOKEN,
            "TELEGRAM_CHAT_ID": ",".join(map(str, CHATS)),
            "TELEGRAM_API_URL": telegram.url,
        }
        self.running = ExitStack()
        self.server: Serving | None = None
        self.url = ""

    async def start(self) -> None:
        started = serving(self.database_url, outside=self.environment)
        self.server = self.running.enter_context(started)
        self.url = await ready(self.server.output)

    async def die(self) -> None:
        assert self.server
        self.server.kill()
        self.running.pop_all().close()
        await self.start()


async def soak(database_url: str, count: int, deaths: int) -> str:
    seed = random.randrange(10**6)
    async with BotApi() as telegram:
        for chat in CHATS:
            telegram.knows(chat)
        telegram.mix(MIX, seed)
        stage = Stage(database_url, telegram)
        try:
            await stage.start()
            began = time.monotonic()
            events = asyncio.create_task(_register(stage, count))
            died = 0
            while died < deaths:
                await asyncio.sleep(random.uniform(0.1, 1.5))
                await stage.die()
                died += 1
            await events
            told = await _settled(database_url, telegram)
        finally:
            stage.running.close()
        twice = sum(_check(telegram.messages(chat), told) for chat in CHATS)
    took = time.monotonic() - began
    return (
        f"{len(told)} events, {deaths} deaths in {took:.0f} s (seed {seed}): each reached each of "
        f"{len(CHATS)} chats; of {len(telegram.messages())} messages {twice} told something again"
    )


async def _register(stage: Stage, count: int) -> None:
    places = asyncio.Semaphore(CALLERS)
    headers = {"Authorization": f"Bearer {ADMIN}"}

    async def one(client: httpx.AsyncClient, number: int) -> None:
        mac = f"24:6f:28:{number // 65536:02x}:{number // 256 % 256:02x}:{number % 256:02x}"
        body = {"query": REGISTER, "variables": {"mac": mac}}
        async with places:
            while True:
                with suppress(httpx.TransportError):
                    answer = await client.post(stage.url, json=body, headers=headers)
                    if answer.status_code == 200:
                        return
                await asyncio.sleep(0.05)

    async with httpx.AsyncClient(timeout=20) as client:
        await asyncio.gather(*(one(client, number) for number in range(count)))


async def _settled(database_url: str, telegram: BotApi) -> list[int]:
    """The ids of all events that are told, once nothing waits any more."""
    database = Database(database_url)
    try:
        async with asyncio.timeout(SETTLE_SECONDS):
            while True:
                async with database.transaction() as session:
                    told = list(await session.scalars(text(TOLD)))
                    sent = "SELECT count(*) FROM deliveries WHERE state = 'sent'"
                    done = (await session.execute(text(sent))).scalar_one()
                if done >= len(told) * len(CHATS):
                    return told
                telegram.behave()
                await asyncio.sleep(0.5)
    finally:
        await database.close()


def _check(messages: list[Sent], told: list[int]) -> int:
    """Each event is in some message, in order; returns how many messages told something again."""
    reached, seen, twice = 0, set[int](), 0
    for message in messages:
        match = NUMBERS.search(message.text)
        assert match, message.text
        first, last = int(match[1]), int(match[2] or match[1])
        covered = {id for id in told if first <= id <= last}
        twice += bool(covered & seen)
        assert covered <= seen or first <= _next(told, reached), (message.text, reached)
        seen |= covered
        reached = max(reached, last)
    assert seen == set(told), sorted(set(told) - seen)[:5]
    return twice


def _next(told: list[int], reached: int) -> int:
    return min((id for id in told if id > reached), default=reached)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=2_000)
    parser.add_argument("--deaths", type=int, default=200)
    chosen: Any = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rollcall-") as folder:
        postgres = EmbeddedPostgres(Path(folder))
        try:
            print(asyncio.run(soak(postgres.start(), chosen.events, chosen.deaths)))
        finally:
            postgres.stop()


if __name__ == "__main__":
    main()
