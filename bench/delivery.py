"""Measure how fast changed configs reach a real Mosquitto: `make bench-delivery`.

The baseline is paho-mqtt, which publishes as many messages from memory in the same run on the same
broker. All messages are retained, QoS 1 and acknowledged.
"""

import argparse
import asyncio
import statistics
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as paho
import uvloop
from paho.mqtt.enums import CallbackAPIVersion
from sqlalchemy import text

from bench.fleet_of_a_million import FLEET, LEVELS
from bench.speed.results import machine, save
from db.embedded import EmbeddedPostgres
from db.migrate import migrate
from db.postgres.database import Database
from mqtt.address import Address
from mqtt.client.client import MqttClient
from mqtt.client.connection import WINDOW
from resolvers.services import Services
from tests.support.mosquitto import Mosquitto

ROUNDS = 7
POLL_SECONDS = 0.02
CHANGE = "UPDATE devices SET config_version = config_version + 1 WHERE state = 'active'"
PENDING = "SELECT EXISTS (SELECT FROM config_outbox)"


@dataclass(frozen=True)
class Round:
    """Configs per second, measured one after the other."""

    paho: float
    rollcall: float


def paho_alone(port: int, count: int) -> float:
    """Seconds to publish `count` messages of the same size, with the same window."""
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
    client.max_inflight_messages_set(WINDOW)
    unacknowledged, done = count, threading.Event()

    def acknowledged(*_: object) -> None:
        nonlocal unacknowledged
        unacknowledged -= 1
        if not unacknowledged:
            done.set()

    client.on_publish = acknowledged
    client.connect("127.0.0.1", port)
    client.loop_start()
    payload = b'{"v":2,"interval":60,"qos":1,"at":1764000000}'
    started = time.perf_counter()
    for number in range(count):
        client.publish(f"alone/paris/temperature/{number:032x}/config", payload, 1, retain=True)
    assert done.wait(120)
    seconds = time.perf_counter() - started
    client.disconnect()
    client.loop_stop()
    return seconds


async def published(database: Database, client: MqttClient) -> float:
    """Seconds from the change of all configs until `config_outbox` is empty."""
    async with database.transaction() as session:
        await session.execute(text(CHANGE))
    started = time.perf_counter()
    client.wake()
    while True:
        async with database.transaction() as session:
            if not (await session.execute(text(PENDING))).scalar_one():
                return time.perf_counter() - started
        await asyncio.sleep(POLL_SECONDS)


async def measure(database_url: str, port: int, count: int) -> list[Round]:
    database = Database(database_url)
    await migrate(database)
    async with database.transaction() as session:
        for statement in LEVELS.split(";")[:-1]:
            await session.execute(text(statement))
        # Approve all: a thousandth is pending, which has no config on the broker.
        await session.execute(text(FLEET), {"first": 1, "last": count})
        await session.execute(text("UPDATE devices SET state = 'active'"))
    client = MqttClient(lambda: Address("127.0.0.1", port), volatile=False)
    running = asyncio.create_task(client.run(Services.for_database(database)))
    await published(database, client)
    rounds = []
    for _ in range(ROUNDS):
        alone = await asyncio.to_thread(paho_alone, port, count)
        rounds.append(Round(count / alone, count / await published(database, client)))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await database.close()
    return rounds


def table(rounds: list[Round]) -> str:
    """A table in Markdown."""
    share = statistics.median(each.rollcall / each.paho for each in rounds)
    lines = ["\n| | median, per second | minimum | maximum |", "|---|---|---|---|"]
    for name, rates in (
        ("paho alone", [each.paho for each in rounds]),
        ("Rollcall", [each.rollcall for each in rounds]),
    ):
        middle = statistics.median(rates)
        lines.append(f"| {name} | {middle:,.0f} | {min(rates):,.0f} | {max(rates):,.0f} |")
    return "\n".join([*lines, f"\nRollcall of paho alone, median: {share:.0%}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rollcall-") as folder:
        postgres = EmbeddedPostgres(Path(folder))
        broker = Mosquitto(Path(folder), "allow_anonymous true", "max_queued_messages 1000000")
        try:
            broker.start()
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                rounds = runner.run(measure(postgres.start(), broker.port, options.devices))
        finally:
            broker.stop()
            postgres.stop()
    about = f"{options.devices:,} configs, {ROUNDS} rounds; {machine()}"
    print(about, table(rounds), sep="\n")
    save(options.json, "delivery", about, rounds)


if __name__ == "__main__":
    main()
