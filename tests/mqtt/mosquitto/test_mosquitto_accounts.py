"""A server whose devices are let in by Mosquitto: soon, and whatever stands in the way."""

import asyncio
import fcntl
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from db.postgres.database import Database
from mqtt.mosquitto.files import MosquittoFiles
from server.settings import Settings
from tests.conftest import ADMIN, served
from tests.mqtt.conftest import with_mosquitto
from tests.mqtt.mosquitto.load import busy
from tests.mqtt.observer import Observer
from tests.support.client import Api
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import until

NEWCOMERS = 20
STALL_SECONDS = 2.0
# Gathering, reading, a reload, and a busy machine.
SOON_SECONDS = 8.0


class Newcomers:
    """Devices that register, and connect as often as it takes."""

    def __init__(self, api: Api, broker: Mosquitto) -> None:
        self._api, self._broker = api, broker
        self._count = 0
        self.connected: list[Observer] = []

    async def one(self) -> float:
        """After how many seconds it was let in."""
        self._count += 1
        mac = f"24:6f:28:01:{self._count >> 8:02x}:{self._count & 255:02x}"
        found = await self._api.register(ADMIN, mac=mac)
        began = time.monotonic()
        while True:
            device = Observer(self._broker.port, found["device"]["id"], found["token"])
            await device.open()
            if not device.refused:
                self.connected.append(device)
                return time.monotonic() - began
            await device.close()
            await asyncio.sleep(0.05)

    async def close(self) -> None:
        for device in self.connected:
            await device.close()


@asynccontextmanager
async def newcomers(api: Api, broker: Mosquitto) -> AsyncIterator[Newcomers]:
    found = Newcomers(api, broker)
    try:
        yield found
    finally:
        await found.close()


async def test_newcomers_on_a_busy_machine_are_let_in(
    settings: Settings, mosquitto: Mosquitto
) -> None:
    with busy():
        async with (
            served(with_mosquitto(settings, mosquitto)) as api,
            newcomers(api, mosquitto) as found,
        ):
            for _ in range(NEWCOMERS):
                await asyncio.wait_for(found.one(), 20)


async def test_a_disk_that_stalls_does_not_keep_newcomers_out_for_longer(
    settings: Settings, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, stalls = MosquittoFiles.write, iter([STALL_SECONDS])

    def stalled(self: MosquittoFiles, accounts: Any) -> bool:
        time.sleep(next(stalls, 0.0))
        return write(self, accounts)

    monkeypatch.setattr(MosquittoFiles, "write", stalled)
    own = with_mosquitto(settings, mosquitto)
    async with served(own) as api, newcomers(api, mosquitto) as found:
        await found.one()
        assert await found.one() < SOON_SECONDS


async def test_a_transaction_that_stays_open_keeps_nobody_out(
    settings: Settings, mosquitto: Mosquitto, database: Database
) -> None:
    """Of any database of the same PostgreSQL: events after it are not settled."""
    own = with_mosquitto(settings, mosquitto)
    async with served(own) as api, newcomers(api, mosquitto) as found:
        await found.one()
        async with database.transaction() as session:
            await session.execute(text("SELECT pg_current_xact_id()"))
            for _ in range(3):
                assert await found.one() < SOON_SECONDS
        assert await found.one() < SOON_SECONDS


async def test_two_servers_on_the_same_files_throw_nobody_out(
    settings: Settings, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that has read the registry earlier must not write later."""
    write, slow = MosquittoFiles.write, set[int]()

    def written(self: MosquittoFiles, accounts: Any) -> bool:
        slow.add(id(self))
        if id(self) == min(slow):
            time.sleep(3)
        return write(self, accounts)

    monkeypatch.setattr(MosquittoFiles, "write", written)
    own = with_mosquitto(settings, mosquitto)
    async with (
        served(own) as api,
        served(own),
        newcomers(api, mosquitto) as found,
    ):
        for _ in range(4):
            await asyncio.gather(found.one(), found.one())
        assert [device for device in found.connected if device.ended.is_set()] == []


async def test_another_server_goes_on_with_the_files(
    settings: Settings, mosquitto: Mosquitto
) -> None:
    own = with_mosquitto(settings, mosquitto)
    async with AsyncExitStack() as first:
        await first.enter_async_context(served(own))
        async with served(own) as api, newcomers(api, mosquitto) as found:
            await found.one()
            await first.aclose()
            assert await found.one() < SOON_SECONDS


async def test_files_that_could_not_be_written_are_tried_again_soon(
    settings: Settings, mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    own = with_mosquitto(settings, mosquitto)
    async with served(own) as api, newcomers(api, mosquitto) as found:
        await found.one()
        obstacle = mosquitto.folder / "rights" / "acl.draft"
        obstacle.mkdir()
        waiting = asyncio.create_task(found.one())
        await until(lambda: "could not be written" in caplog.text)
        obstacle.rmdir()
        assert await waiting < SOON_SECONDS


async def test_a_server_stops_although_mosquitto_does_not_answer(
    settings: Settings, mosquitto: Mosquitto
) -> None:
    assert mosquitto.process
    pid, folder = mosquitto.process.pid, mosquitto.folder / "rights"
    own = with_mosquitto(settings, mosquitto)
    try:
        async with served(own) as api, newcomers(api, mosquitto) as found:
            await found.one()
            await until(lambda: unlocked(folder))
            os.kill(pid, signal.SIGSTOP)
            before = (folder / "passwords").read_bytes()
            await api.register(ADMIN, mac="24:6f:28:02:00:01")
            await until(lambda: (folder / "passwords").read_bytes() != before)
        # Held by the thread that writes, until it has its answer.
        await until(lambda: unlocked(folder))
    finally:
        os.kill(pid, signal.SIGCONT)


def unlocked(folder: Path) -> bool:
    number = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(number)
