"""Writes of new devices: failed rows, deletions, cancellations and retries."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from sqlalchemy import text

from db.postgres.database import Database
from db.postgres.sizes import FULL
from domain.devices.identity import device_id
from domain.devices.writes import CreateDevice
from tests.alerts.alert_server import execute, rows
from tests.conftest import ADMIN
from tests.devices.registrations import mac, until_lock_wait
from tests.support.client import Api
from tests.support.waiting import until


@dataclass(frozen=True)
class Level:
    owner_id: int
    place_id: int
    measurement_type_id: int


async def level_of(database: Database) -> Level:
    [row] = await rows(
        database, "SELECT DISTINCT owner_id, place_id, measurement_type_id FROM devices"
    )
    return Level(*row)


def new(number: int, level: Level, **overrides: Any) -> CreateDevice:
    id = device_id(number.to_bytes(6))
    values: dict[str, Any] = {
        "id": id,
        "owner_id": level.owner_id,
        "place_id": level.place_id,
        "measurement_type_id": level.measurement_type_id,
        "topic": f"a/b/c/{id}",
        "latitude": None,
        "longitude": None,
        "sensor_model": None,
        "firmware": None,
        "state": "active",
        "waiting": False,
        "config_version": 1,
        "interval_seconds": 60,
        "qos": 1,
        "actor": "enrol:1",
        "words": ["a"],
        "hash": id.encode(),
        "mqtt_hash": "x",
        "issued_by": None,
        "address": None,
        "counted_key": None,
        "facts": {},
        "at": datetime.now(UTC),
        "last_seen_at": None,
    }
    return CreateDevice(**{**values, **overrides})


async def test_invalid_row_does_not_fail_its_batch(api: Api, database: Database) -> None:
    await api.register(ADMIN, mac=mac(0))
    level, writes = await level_of(database), api.app.state.database_supervisor.services.writes
    good = [writes.create_device(new(number, level)) for number in range(1, 6)]
    bad = writes.create_device(new(9, level, owner_id=999_999))
    numbers = await asyncio.gather(*good, bad)
    assert all(numbers[:5])
    assert numbers[5] is None
    assert await rows(database, "SELECT count(*) FROM devices") == [(6,)]


@pytest.mark.parametrize("in_transaction", [False, True])
async def test_create_device_requires_version_above_deleted_device(
    api: Api, database: Database, in_transaction: bool
) -> None:
    await api.register(ADMIN, mac=mac(0))
    level, writes = await level_of(database), api.app.state.database_supervisor.services.writes
    deleted_id = new(1, level).id
    await execute(
        database,
        f"INSERT INTO deleted_devices VALUES ('{deleted_id}', 7, 'a/b/c/{deleted_id}', now())",
    )
    await execute(
        database,
        "INSERT INTO stale_topics (topic, device_id) "
        f"VALUES ('a/b/c/{deleted_id}', '{deleted_id}')",
    )

    async def created(**overrides: Any) -> bool:
        if not in_transaction:
            return await writes.create_device(new(1, level, **overrides)) is not None
        async with database.transaction() as session:
            return await writes.create_device(new(1, level, **overrides), session) is not None

    assert [await created(config_version=version) for version in (1, 7, 9)] == [False] * 3
    assert await created(config_version=8)
    assert not await created(config_version=8)
    assert await rows(database, "SELECT topic FROM stale_topics") == []


async def test_registration_during_deletion_gets_higher_config_version(
    api: Api, database: Database
) -> None:
    """The statement reads `deleted_devices` before it waits for the running deletion."""
    key = await api.key()
    await api.register(key, mac=mac(0))
    device = (await api.register(key, mac=mac(1)))["device"]
    for seconds in (10, 20, 30):
        await api.change("updateConfig", deviceId=device["id"], intervalSeconds=seconds)
    async with database.transaction() as session:
        deleted = {"id": device["id"], "topic": device["topics"]["data"]}
        await session.execute(text("DELETE FROM devices WHERE id = :id"), deleted)
        await session.execute(
            text("INSERT INTO deleted_devices VALUES (:id, 4, :topic, now())"), deleted
        )
        registration = asyncio.create_task(api.register(key, mac=mac(1)))
        await until_lock_wait(session)
    again = await registration
    assert (again["outcome"], again["device"]["config"]["version"]) == ("CREATED", 5)


async def test_cancelled_registration_does_not_fail_its_batch(api: Api, database: Database) -> None:
    """One caller is cancelled while its batch runs."""
    key = await api.key()
    await api.register(key, mac=mac(0))
    writes = api.app.state.database_supervisor.services.writes
    async with database.transaction() as session:
        await session.execute(text("LOCK TABLE devices IN SHARE MODE"))
        tasks = [asyncio.create_task(api.register(key, mac=mac(n))) for n in range(1, 20)]
        await until(lambda: bool(writes._create_device.batcher._running))
        tasks[3].cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    succeeded = [answer for answer in found if isinstance(answer, dict)]
    assert {answer["outcome"] for answer in succeeded} == {"CREATED"}
    assert len(succeeded) >= 18
    assert len(await rows(database, "SELECT 1 FROM devices")) >= 19


async def test_retried_registrations_do_not_deadlock_on_connections(
    api: Api,
) -> None:
    """Each first attempt fails. The retry needs a second transaction for new topic levels."""
    key = await api.key(maxUses=100)
    writes, lost = api.app.state.database_supervisor.services.writes, set[str]()
    create = writes.create_device

    async def create_device(write: CreateDevice, session: Any = None) -> int | None:
        if write.id not in lost:
            lost.add(write.id)
            api.app.state.database_supervisor.services.levels.close()
            return None
        return cast("int | None", await create(write, session))

    writes.create_device = create_device
    found = await asyncio.gather(
        *(
            api.register(key, mac=mac(n), location={"place": f"Room {n}"})
            for n in range(2 * FULL.requests)
        )
    )
    assert {answer["outcome"] for answer in found} == {"CREATED"}
    assert len(lost) == 2 * FULL.requests
