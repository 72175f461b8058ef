"""Presence: devices that are offline for long, and come back online."""

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


async def report_status(api: Api, token: Any, *, online: bool) -> None:
    await record_presence(
        api.app.state.database_supervisor.services, {token["device"]["topics"]["data"]: online}
    )


async def set_offline_seconds(database: Database, seconds: int) -> None:
    async with database.transaction() as session:
        age = text("UPDATE devices SET status_at = now() - make_interval(secs => :ago)")
        await session.execute(age, {"ago": seconds})


@pytest.fixture
def services(api: Api) -> Any:
    return api.app.state.database_supervisor.services


async def test_offline_event_is_recorded_once_and_online_event_on_return(
    api: Api, services: Any, database: Database
) -> None:
    device = await api.register(await api.key())
    await report_status(api, device, online=True)
    await set_offline_seconds(database, 1_000)
    assert await mark_offline(services, 600) == 0
    await report_status(api, device, online=False)
    assert await mark_offline(services, 600) == 0
    await set_offline_seconds(database, 601)
    assert sum(await asyncio.gather(*(mark_offline(services, 600) for _ in range(4)))) == 1
    assert await mark_offline(services, 600) == 0
    [offline_event] = await events_of(database, "device_offline")
    assert offline_event.device_id == device["device"]["id"]
    await report_status(api, device, online=True)
    [online_event] = await events_of(database, "device_online")
    assert online_event.before == offline_event.after
    await report_status(api, device, online=False)
    await report_status(api, device, online=True)
    assert len(await events_of(database, "device_online")) == 1


async def test_device_that_was_never_online_gets_no_offline_event(
    api: Api, services: Any, database: Database
) -> None:
    await api.register(await api.key())
    assert await mark_offline(services, 0) == 0
    assert await events_of(database, "device_offline") == []
