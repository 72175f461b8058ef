"""Is every newcomer let in by Mosquitto, whatever happens to its files, its reloads and its writer?

`make soak-mosquitto` runs it in full. Devices register one after the other and connect until they
are let in, while the machine is busy, Mosquitto is often told to reload, files are read by others,
and the server and Mosquitto are killed in turn. Then it measures what a large fleet costs.
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

from bench.outages import REGISTER, Stage, stage
from bench.serving import ADMIN
from db.embedded import EmbeddedPostgres
from mqtt.mosquitto.process import MosquittoProcess
from tests.mqtt.mosquitto.file_broker import SERVER, Broker, device, many
from tests.mqtt.mosquitto.load import busy
from tests.mqtt.observer import Observer
from tests.support.mosquitto import Mosquitto

# From its registration; a server that was killed needs some seconds to come back.
LIMIT_SECONDS = 180
PAUSE_SECONDS = 0.1
BURNERS, LONGEST_SECONDS = 2, 3_600


async def soak(database_url: str, folder: Path, count: int, deaths: int) -> str:
    with stage("mosquitto", database_url, folder) as scene:
        assert scene.mosquitto
        headers = {"Authorization": f"Bearer {ADMIN}"}
        async with (
            scene.server() as running,
            httpx.AsyncClient(timeout=30, headers=headers) as client,
            asyncio.TaskGroup() as tasks,
        ):
            nuisances = [
                tasks.create_task(_reload(scene.mosquitto)),
                tasks.create_task(_read(scene.mosquitto.folder / "rights")),
                tasks.create_task(_kill(scene, running, deaths)),
            ]
            with busy(BURNERS, LONGEST_SECONDS):
                seconds = [await _newcomer(scene, client, number) for number in range(count)]
            for nuisance in nuisances:
                nuisance.cancel()
    seconds.sort()
    return (
        f"{count} newcomers, {scene.deaths} deaths: let in after {statistics.median(seconds):.1f} s"
        f" (median), {seconds[-1 - count // 100]:.1f} s (99 %), {seconds[-1]:.1f} s (last)"
    )


async def _newcomer(scene: Stage, client: httpx.AsyncClient, number: int) -> float:
    """After how many seconds it was let in."""
    mac = f"24:6f:28:10:{number >> 8:02x}:{number & 255:02x}"
    found = (await scene.ask(client, REGISTER, mac=mac))["registerDevice"]
    began = time.monotonic()
    async with asyncio.timeout(LIMIT_SECONDS):
        while True:
            if await _let_in(scene.mqtt_port, found["device"]["id"], found["token"]):
                return time.monotonic() - began
            await asyncio.sleep(PAUSE_SECONDS)


async def _let_in(port: int, username: str, password: str) -> bool:
    """Not either where the broker is just dead."""
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
        # Not while it starts: a signal would end it.
        if process := MosquittoProcess.found_by(broker.pid_file):
            process.reload()


async def _read(folder: Path) -> None:
    """As a backup does."""
    while True:
        await asyncio.sleep(random.uniform(0, 2 * PAUSE_SECONDS))
        for path in (folder / "passwords", folder / "acl"):
            path.read_bytes()


async def _kill(scene: Stage, running: ExitStack, deaths: int) -> None:
    """By kill -9, at random points, server and broker in turn."""
    for _ in range(deaths):
        await asyncio.sleep(random.uniform(0.2, 6))
        if scene.mosquitto and scene.deaths % 2:
            scene.mosquitto.kill()
            await asyncio.sleep(random.uniform(0, 0.5))
            await asyncio.to_thread(scene.mosquitto.start)
        else:
            scene.servers[-1].kill()
            running.pop_all().close()
            await scene.start(running)
        scene.deaths += 1


def fleet(folder: Path, count: int) -> str:
    """How long a change takes with so many accounts, and how long Mosquitto is deaf meanwhile."""
    broker = Broker(folder)
    broker.files.write([SERVER])
    broker.start()
    try:
        steps = list(_steps(broker, count))
        assert broker.lets_in("new")
    finally:
        broker.stop()
    return f"{count} accounts: " + ", ".join(steps)


def _steps(broker: Broker, count: int) -> Iterator[str]:
    accounts = [SERVER, *many(count), device("new")]
    began = time.monotonic()
    broker.files.write(accounts)
    whole, deaf = time.monotonic() - began, broker.files.reload_seconds
    yield f"a change is in force after {whole:.1f} s, {deaf:.1f} s of them Mosquitto's, deaf"
    began = time.monotonic()
    broker.files.write(accounts)
    yield f"no change is seen in {time.monotonic() - began:.1f} s"


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
