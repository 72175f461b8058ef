"""Configs that are not applied in time."""

import asyncio
from datetime import timedelta

from sqlalchemy import text

from db.postgres.database import Database
from resolvers.maintenance import mark_overdue
from tests.support.client import Api
from tests.support.events import events_of


async def set_config_age(database: Database, **period: int) -> None:
    async with database.transaction() as session:
        await session.execute(
            text("UPDATE devices SET config_updated_at = now() - CAST(:ago AS interval)"),
            {"ago": timedelta(**period)},
        )


async def test_config_is_marked_overdue_once_after_its_intervals(
    api: Api, database: Database
) -> None:
    services = api.app.state.database_supervisor.services
    device = await api.register(await api.key())
    await set_config_age(database, seconds=170)
    assert await mark_overdue(services, 3) == 0
    await set_config_age(database, seconds=190)
    assert await mark_overdue(services, 3) == 1
    assert await mark_overdue(services, 3) == 0
    [event] = await events_of(database, "config_overdue")
    assert event.device_id == device["device"]["id"]
    assert event.after == {"version": 1, "appliedVersion": None, "error": None, "online": False}
    await api.change("updateConfig", deviceId=device["device"]["id"], qos=0)
    await set_config_age(database, seconds=190)
    assert await mark_overdue(services, 3) == 1


async def test_applied_config_is_not_overdue(api: Api, database: Database) -> None:
    token = (await api.register(await api.key()))["token"]
    await api.change("acknowledgeConfig", token, version=1)
    await set_config_age(database, days=1)
    assert await mark_overdue(api.app.state.database_supervisor.services, 3) == 0


async def test_concurrent_calls_mark_overdue_once(api: Api, database: Database) -> None:
    services = api.app.state.database_supervisor.services
    await api.register(await api.key())
    await set_config_age(database, days=1)
    assert sum(await asyncio.gather(*(mark_overdue(services, 3) for _ in range(4)))) == 1


async def test_config_is_overdue_after_half_an_interval(api: Api, database: Database) -> None:
    services = api.app.state.database_supervisor.services
    await api.register(await api.key())
    await set_config_age(database, seconds=25)
    assert await mark_overdue(services, 0.5) == 0
    await set_config_age(database, seconds=35)
    assert await mark_overdue(services, 0.5) == 1


async def test_overdue_configs_are_marked_in_batches(api: Api, database: Database) -> None:
    services, key = api.app.state.database_supervisor.services, await api.key()
    first = await api.register(key)
    async with database.transaction() as session:
        await session.execute(
            text(
                "INSERT INTO devices (id, owner_id, place_id, measurement_type_id, topic, state, "
                "config_version, interval_seconds, qos, config_updated_at, config_updated_by, "
                "registered_at, updated_at, search) SELECT md5(n::text), owner_id, place_id, "
                "measurement_type_id, n::text, state, 1, 60, 1, now(), 'x', now(), now(), search "
                "FROM devices, generate_series(1, 600) n WHERE id = :id"
            ),
            {"id": first["device"]["id"]},
        )
    await set_config_age(database, days=1)
    assert [await mark_overdue(services, 3) for _ in range(3)] == [500, 101, 0]
    assert len(await events_of(database, "config_overdue")) == 601
