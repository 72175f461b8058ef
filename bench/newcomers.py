"""Check that Mosquitto accepts every new device in spite of failures: `make soak-mosquitto`.

Devices register one after the other, and retry to connect until Mosquitto accepts them. Meanwhile
the machine is busy, Mosquitto reloads often, other processes read its files, and the server and
Mosquitto are killed alternately. Then it measures reloads with a large fleet.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx

from bench.outages import REGISTER, Deployment, deployed
from bench.serving import ADMIN
from db.embedded import EmbeddedPostgres
from mqtt.mosquitto.process import MosquittoProcess
from tests.mqtt.mosquitto.file_broker import SERVER, Broker, device, many
from tests.mqtt.mosquitto.load import busy
from tests.mqtt.observer import Observer
from tests.support.mosquitto import Mosquitto

# From the registration to the connection. A killed server needs some seconds to restart.
LIMIT_SECONDS = 180
PAUSE_SECONDS = 0.1
BURNERS, LONGEST_SECONDS = 2, 3_600


async def soak(database_url: str, folder: Path, count: int, kills: int) -> str:
    with deployed("mosquitto", database_url, folder) as system:
        assert system.mosquitto
        headers = {"Authorization": f"Bearer {ADMIN}"}
        async with (
            system.server() as stack,
            httpx.AsyncClient(timeout=30, headers=headers) as client,
            asyncio.TaskGroup() as tasks,
        ):
            disturbances = [
                tasks.create_task(_reload(system.mosquitto)),
                tasks.create_task(_read(system.mosquitto.folder / "rights")),
                tasks.create_task(_kill(system, stack, kills)),
            ]
            with busy(BURNERS, LONGEST_SECONDS):
                seconds = [await _connect_new(system, client, number) for number in range(count)]
            for task in disturbances:
                task.cancel()
    seconds.sort()
    return (
        f"{count} new devices, {system.kills} kills: accepted after "
        f"{statistics.median(seconds):.1f} s (median), {seconds[-1 - count // 100]:.1f} s (99 %), "
        f"{seconds[-1]:.1f} s (last)"
    )


async def _connect_new(system: Deployment, client: httpx.AsyncClient, number: int) -> float:
    """Register a device; return the seconds until Mosquitto accepts it."""
    mac = f"24:6f:28:10:{number >> 8:02x}:{number & 255:02x}"
    found = (await system.execute(client, REGISTER, mac=mac))["registerDevice"]
    started = time.monotonic()
    async with asyncio.timeout(LIMIT_SECONDS):
        while True:
            if await _accepted(system.mqtt_port, found["device"]["id"], found["token"]):
                return time.monotonic() - started
            await asyncio.sleep(PAUSE_SECONDS)


async def _accepted(port: int, username: str, password: str) -> bool:
    """True if the broker accepts the connection; False also if it is down."""
    observer = Observer(port, username, password)
    try:
        await observer.open()
    except AssertionError:
        return False
    finally:
        await observer.close()
    return observer.refused is None


async def _reload(broker: Mosquitto) -> None:
    while True:
        await asyncio.sleep(random.uniform(0, 2 * PAUSE_SECONDS))
        # Without a pid file it is starting, and the signal would end it.
        if process := MosquittoProcess.from_pid_file(broker.pid_file):
            process.reload()


async def _read(folder: Path) -> None:
    """Read the files, as a backup does."""
    while True:
        await asyncio.sleep(random.uniform(0, 2 * PAUSE_SECONDS))
        for path in (folder / "passwords", folder / "acl"):
            path.read_bytes()


async def _kill(system: Deployment, stack: ExitStack, kills: int) -> None:
    """Kill server and broker alternately at random points (kill -9)."""
    for _ in range(kills):
        await asyncio.sleep(random.uniform(0.2, 6))
        if system.mosquitto and system.kills % 2:
            system.mosquitto.kill()
            await asyncio.sleep(random.uniform(0, 0.5))
            await asyncio.to_thread(system.mosquitto.start)
        else:
            system.servers[-1].kill()
            stack.pop_all().close()
            await system.start(stack)
        system.kills += 1


def fleet(folder: Path, count: int) -> str:
    """How long a change takes with `count` accounts, and how long Mosquitto is blocked by it."""
    broker = Broker(folder)
    broker.files.write([SERVER])
    broker.start()
    try:
        steps = list(_steps(broker, count))
        assert broker.accepts("new")
    finally:
        broker.stop()
    return f"{count} accounts: " + ", ".join(steps)


def _steps(broker: Broker, count: int) -> Iterator[str]:
    accounts = [SERVER, *many(count), device("new")]
    started = time.monotonic()
    broker.files.write(accounts)
    seconds, blocked = time.monotonic() - started, broker.files.reload_seconds
    yield f"a change takes effect after {seconds:.1f} s; it blocks Mosquitto for {blocked:.1f} s"
    started = time.monotonic()
    broker.files.write(accounts)
    yield f"a write without a change takes {time.monotonic() - started:.1f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--newcomers", type=int, default=500)
    parser.add_argument("--deaths", type=int, default=20)
    parser.add_argument("--accounts", type=int, nargs="*", default=[1_000, 10_000, 50_000])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rollcall-newcomers-") as name:
        postgres = EmbeddedPostgres(Path(name) / "postgres")
        try:
            url, folder = postgres.start(), Path(name) / "broker"
            folder.mkdir()
            print(asyncio.run(soak(url, folder, options.newcomers, options.deaths)))
        finally:
            postgres.stop()
        for count in options.accounts:
            folder = Path(name) / str(count)
            folder.mkdir()
            print(fleet(folder, count))


if __name__ == "__main__":
    main()
