"""New devices are accepted by Mosquitto within seconds, also under adverse conditions."""

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

NEW_DEVICES = 20
STALL_SECONDS = 2.0
# Seconds for batching, a query, a reload, and a busy machine.
SOON_SECONDS = 8.0


class NewDevices:
    """Devices that register, and retry to connect until the broker accepts them."""

    def __init__(self, api: Api, broker: Mosquitto) -> None:
        self._api, self._broker = api, broker
        self._count = 0
        self.connected: list[Observer] = []

    async def one(self) -> float:
        """Register and connect a device. Return the seconds until the broker accepted it."""
        self._count += 1
        mac = f"24:6f:28:01:{self._count >> 8:02x}:{self._count & 255:02x}"
        registered = await self._api.register(ADMIN, mac=mac)
        began = time.monotonic()
        while True:
            device = Observer(self._broker.port, registered["device"]["id"], registered["token"])
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
async def new_devices(api: Api, broker: Mosquitto) -> AsyncIterator[NewDevices]:
    devices = NewDevices(api, broker)
    try:
        yield devices
    finally:
        await devices.close()


async def test_new_devices_are_accepted_on_a_busy_machine(
    settings: Settings, mosquitto: Mosquitto
) -> None:
    with busy():
        async with (
            served(with_mosquitto(settings, mosquitto)) as api,
            new_devices(api, mosquitto) as devices,
        ):
            for _ in range(NEW_DEVICES):
                await asyncio.wait_for(devices.one(), 20)


async def test_stalled_disk_delays_new_devices_only_while_it_stalls(
    settings: Settings, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, stalls = MosquittoFiles.write, iter([STALL_SECONDS])

    def stalled(self: MosquittoFiles, accounts: Any) -> bool:
        time.sleep(next(stalls, 0.0))
        return write(self, accounts)

    monkeypatch.setattr(MosquittoFiles, "write", stalled)
    broker_settings = with_mosquitto(settings, mosquitto)
    async with served(broker_settings) as api, new_devices(api, mosquitto) as devices:
        await devices.one()
        assert await devices.one() < SOON_SECONDS


async def test_open_transaction_does_not_delay_new_devices(
    settings: Settings, mosquitto: Mosquitto, database: Database
) -> None:
    """Any open transaction of the same PostgreSQL delays the reading of later events."""
    broker_settings = with_mosquitto(settings, mosquitto)
    async with served(broker_settings) as api, new_devices(api, mosquitto) as devices:
        await devices.one()
        async with database.transaction() as session:
            await session.execute(text("SELECT pg_current_xact_id()"))
            for _ in range(3):
                assert await devices.one() < SOON_SECONDS
        assert await devices.one() < SOON_SECONDS


async def test_two_servers_on_the_same_files_disconnect_no_device(
    settings: Settings, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server must not overwrite the files with accounts that it has read earlier."""
    write, slow = MosquittoFiles.write, set[int]()

    def written(self: MosquittoFiles, accounts: Any) -> bool:
        slow.add(id(self))
        if id(self) == min(slow):
            time.sleep(3)
        return write(self, accounts)

    monkeypatch.setattr(MosquittoFiles, "write", written)
    broker_settings = with_mosquitto(settings, mosquitto)
    async with (
        served(broker_settings) as api,
        served(broker_settings),
        new_devices(api, mosquitto) as devices,
    ):
        for _ in range(4):
            await asyncio.gather(devices.one(), devices.one())
        assert [device for device in devices.connected if device.ended.is_set()] == []


async def test_second_server_writes_files_after_the_first_stops(
    settings: Settings, mosquitto: Mosquitto
) -> None:
    broker_settings = with_mosquitto(settings, mosquitto)
    async with AsyncExitStack() as first:
        await first.enter_async_context(served(broker_settings))
        async with served(broker_settings) as api, new_devices(api, mosquitto) as devices:
            await devices.one()
            await first.aclose()
            assert await devices.one() < SOON_SECONDS


async def test_failed_write_of_files_is_retried(
    settings: Settings, mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    broker_settings = with_mosquitto(settings, mosquitto)
    async with served(broker_settings) as api, new_devices(api, mosquitto) as devices:
        await devices.one()
        obstacle = mosquitto.folder / "rights" / "acl.draft"
        obstacle.mkdir()
        waiting = asyncio.create_task(devices.one())
        await until(lambda: "could not be written" in caplog.text)
        obstacle.rmdir()
        assert await waiting < SOON_SECONDS


async def test_server_stops_while_mosquitto_is_frozen(
    settings: Settings, mosquitto: Mosquitto
) -> None:
    assert mosquitto.process
    pid, folder = mosquitto.process.pid, mosquitto.folder / "rights"
    broker_settings = with_mosquitto(settings, mosquitto)
    try:
        async with served(broker_settings) as api, new_devices(api, mosquitto) as devices:
            await devices.one()
            await until(lambda: unlocked(folder))
            os.kill(pid, signal.SIGSTOP)
            before = (folder / "passwords").read_bytes()
            await api.register(ADMIN, mac="24:6f:28:02:00:01")
            await until(lambda: (folder / "passwords").read_bytes() != before)
        # The writing thread holds the lock until Mosquitto has responded.
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
