"""Devices that are gone for long, and come back."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from db.postgres.database import Database
from resolvers.devices.mqtt_reports import record_presence
from resolvers.maintenance import mark_offline
from tests.support.client import Api
from tests.support.events import events_of

TOPIC = "acme/paris/temperature"


async def with_status(api: Api, token: Any, *, online: bool) -> None:
    await record_presence(
        api.app.state.database_supervisor.services, {token["device"]["topics"]["data"]: online}
    )


async def gone_for(database: Database, seconds: int) -> None:
    async with database.transaction() as session:
        ago = text("UPDATE devices SET status_at = now() - make_interval(secs => :ago)")
        await session.execute(ago, {"ago": seconds})


@pytest.fixture
def services(api: Api) -> Any:
    return api.app.state.database_supervisor.services


async def test_it_is_told_once_and_when_it_is_back(
    api: Api, services: Any, database: Database
) -> None:
    device = await api.register(await api.key())
    await with_status(api, device, online=True)
    await gone_for(database, 1_000)
    assert await mark_offline(services, 600) == 0
    await with_status(api, device, online=False)
    assert await mark_offline(services, 600) == 0
    await gone_for(database, 601)
    assert sum(await asyncio.gather(*(mark_offline(services, 600) for _ in range(4)))) == 1
    assert await mark_offline(services, 600) == 0
    [gone] = await events_of(database, "device_offline")
    assert gone.device_id == device["device"]["id"]
    await with_status(api, device, online=True)
    [back] = await events_of(database, "device_online")
    assert back.before == gone.after
    await with_status(api, device, online=False)
    await with_status(api, device, online=True)
    assert len(await events_of(database, "device_online")) == 1


async def test_a_device_that_was_never_online_is_not_missed(
    api: Api, services: Any, database: Database
) -> None:
    await api.register(await api.key())
    assert await mark_offline(services, 0) == 0
    assert await events_of(database, "device_offline") == []
