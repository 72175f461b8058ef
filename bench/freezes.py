"""Restart two servers under load while their dependencies are frozen: `make soak-freezes`.

At random points PostgreSQL, the broker or Telegram's stand-in is frozen for up to 12 seconds, and
meanwhile a server is stopped and started again. Every stop must end within 10 seconds, without an
error. At the end each subscriber has received each event in its scope exactly once, in order; the
broker has the newest config of each device; and each alert has reached the chat.
"""

import argparse
import asyncio
import json
import random
import re
import signal
import tempfile
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import httpx
from sqlalchemy import text

from bench.follow import CHANGE, OWNERS, REGISTER, Subscriber, expected_of, log_of
from db.postgres.database import Database
from tests.mqtt.observer import Observer
from tests.server.dependencies import Dependencies
from tests.server.process import ADMIN, ServerProcess
from tests.support.ports import free_port

DEVICES, SUBSCRIBERS, CALLERS = 20, 12, 4
PAUSE_SECONDS = 0.05
STOP_SECONDS = 10
SETTLE_SECONDS = 240
# The event ids in a message.
NUMBERS = re.compile(r"#(\d+)(?: to #(\d+))?$")
DELIVERIES = "SELECT event_id, state FROM deliveries"
NEWEST = "SELECT topic, config_version FROM devices"


class Load:
    """Registers devices, and then changes their configs until `stopped` is set."""

    def __init__(self, urls: list[str]) -> None:
        self._urls = urls
        self.ids: list[str] = []
        self.stopped = asyncio.Event()

    async def execute(self, client: httpx.AsyncClient, query: str, **variables: object) -> dict:  # type: ignore[type-arg]
        """Retry on either server until one responds. A change may be made twice."""
        while True:
            url = random.choice(self._urls)
            body = {"query": query, "variables": variables}
            headers = {"Authorization": f"Bearer {ADMIN}"}
            with suppress(httpx.TransportError):
                response = await client.post(url, json=body, headers=headers)
                if response.status_code == 200:
                    result: dict = response.json()  # type: ignore[type-arg]
                    assert "errors" not in result, result
                    return result["data"]  # type: ignore[no-any-return]
                assert response.status_code == 503, response.text
            await asyncio.sleep(PAUSE_SECONDS)

    async def register(self) -> None:
        async with httpx.AsyncClient(timeout=30) as client:
            for number in range(DEVICES):
                mac, owner = f"24:6f:28:02:00:{number:02x}", OWNERS[number % 2]
                data = await self.execute(client, REGISTER, mac=mac, owner=owner)
                self.ids.append(data["registerDevice"]["device"]["id"])

    async def change(self) -> None:
        async with httpx.AsyncClient(timeout=30) as client:
            while not self.stopped.is_set():
                id, interval = random.choice(self.ids), random.randrange(1, 3600)
                await self.execute(client, CHANGE, id=id, n=interval)
                await asyncio.sleep(PAUSE_SECONDS)


async def restart(server: ServerProcess) -> float:
    """Return the seconds that the stop took."""
    process = server.process
    assert process
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    status = await asyncio.to_thread(process.wait, 3 * STOP_SECONDS)
    seconds = time.monotonic() - started
    assert status == -signal.SIGTERM, (status, server.output)
    assert seconds < STOP_SECONDS, (seconds, server.output)
    assert "Traceback" not in server.output, server.output
    server.wait_for_database = False
    await asyncio.to_thread(server.start)
    return seconds


async def soak(folder: Path, restarts: int, seed: int) -> str:
    choices = random.Random(seed)
    with Dependencies(folder) as around:
        ports = [free_port() for _ in range(2)]
        for port in ports:
            around.start(1, ROLLCALL_PORT=str(port), ROLLCALL_RATE_LIMITS="off")
        urls = [f"http://127.0.0.1:{port}/graphql" for port in ports]
        load = Load(urls)
        await load.register()
        async with AsyncExitStack() as stack:
            observer = await stack.enter_async_context(Observer(around.broker.port, "", ""))
            await observer.subscribe("#", 1)
            http = await stack.enter_async_context(httpx.AsyncClient(timeout=30))
            clients = [subscriber(number, load, http) for number in range(SUBSCRIBERS)]
            stopped = asyncio.Event()
            receiving = [asyncio.create_task(c.subscribe(urls, stopped)) for c in clients]
            changing = [asyncio.create_task(load.change()) for _ in range(CALLERS)]
            stops = []
            for number in range(restarts):
                target = choices.choice(("database", "broker", "telegram"))
                frozen = asyncio.create_task(freeze(around, target, choices))
                await asyncio.sleep(choices.uniform(0, 12))
                stops.append(await restart(around.servers[number % 2]))
                await frozen
                print(f"{number + 1}: {target} frozen, stopped in {stops[-1]:.1f} s", flush=True)
                for task in (*receiving, *changing):
                    if task.done():
                        task.result()
            load.stopped.set()
            await asyncio.gather(*changing)
            events = await complete_events(around, clients, observer)
            stopped.set()
            await asyncio.gather(*receiving)
        alerts = await check_alerts(around)
    return (
        f"{restarts} restarts (seed {seed}), the slowest stop took {max(stops):.1f} s; "
        f"{events} events, each exactly once and in order for {SUBSCRIBERS} subscribers; "
        f"{alerts} alerts, each sent"
    )


def subscriber(number: int, load: Load, http: httpx.AsyncClient) -> Subscriber:
    """Subscribe to all devices, or to one."""
    device = load.ids[number] if number % 2 else None
    variables = {"after": "0", "deviceId": device}
    return Subscriber(ADMIN, variables, stream=number % 4 < 2, http=http)


async def freeze(around: Dependencies, target: str, choices: random.Random) -> None:
    await asyncio.sleep(choices.uniform(0, 3))
    await asyncio.to_thread(around.freeze, target)
    await asyncio.sleep(choices.uniform(0.5, 12))
    around.thaw()


async def complete_events(
    around: Dependencies, clients: list[Subscriber], observer: Observer
) -> int:
    """Wait until all events have arrived; return their number. Raises AssertionError if one is
    missing, repeated or out of order.
    """
    log = await log_of(around.database_url)
    expected = [expected_of(log, (None, c.variables["deviceId"])) for c in clients]
    newest = {f"{t}/config": v for t, v in await rows(around, NEWEST)}

    def complete() -> bool:
        seen = all(len(c.seen) >= len(e) for c, e in zip(clients, expected, strict=True))
        return seen and versions(observer) == newest

    with suppress(TimeoutError):
        async with asyncio.timeout(SETTLE_SECONDS):
            while not complete():  # noqa: ASYNC110
                await asyncio.sleep(0.2)
    for client, events in zip(clients, expected, strict=True):
        assert client.seen == events, "missed, repeated or out of order"
    assert versions(observer) == newest
    return len(log)


def versions(observer: Observer) -> dict[str, int]:
    retained = observer.latest.items()
    return {topic: json.loads(p)["v"] for topic, p in retained if topic.endswith("/config")}


async def check_alerts(around: Dependencies) -> int:
    """Return the number of alerts. Raises AssertionError if one was not sent."""
    async with asyncio.timeout(SETTLE_SECONDS):
        while any(state == "waiting" for _, state in await rows(around, DELIVERIES)):  # noqa: ASYNC110
            await asyncio.sleep(0.5)
    deliveries = await rows(around, DELIVERIES)
    assert all(state == "sent" for _, state in deliveries), "an alert was not delivered"
    reached: set[int] = set()
    for line in around.alerts.read_text().splitlines():
        if match := NUMBERS.search(json.loads(line).get("text") or ""):
            reached.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    assert {id for id, _ in deliveries} <= reached, "an alert was not sent"
    return len(deliveries)


async def rows(around: Dependencies, query: str) -> list[tuple]:  # type: ignore[type-arg]
    database = Database(around.database_url)
    try:
        async with database.transaction() as session:
            return [tuple(row) for row in await session.execute(text(query))]
    finally:
        await database.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--restarts", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rollcall-") as folder:
        print(asyncio.run(soak(Path(folder), options.restarts, options.seed)))


if __name__ == "__main__":
    main()
