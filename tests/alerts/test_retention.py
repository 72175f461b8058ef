"""Retention: deletion of old events and deliveries."""

from datetime import timedelta
from typing import Any

from db.postgres.advisory_locks import Lock, lock
from db.postgres.database import Database
from domain.events.kinds import EventKind
from domain.events.retention import Retention
from resolvers.maintenance import delete_old_deliveries, delete_old_events
from tests.alerts.alert_server import execute, fan_out_started, rows, until_rows
from tests.support.client import Api

SENT = "SELECT 1 FROM deliveries n, events e WHERE n.event_id = e.id AND n.state = 'sent'"


async def kinds(database: Database) -> list[str]:
    return [row.kind for row in await rows(database, "SELECT kind FROM events ORDER BY id")]


async def test_events_are_deleted_by_kind_and_age(api: Api, database: Database) -> None:
    services: Any = api.app.state.database_supervisor.services
    await fan_out_started(api)
    for number in range(4):
        await api.register(api.admin, mac=f"24:6f:28:00:60:0{number}")
    await until_rows(database, SENT, 4)
    await execute(database, "UPDATE events SET at = now() - interval '40 days'")
    await api.register(api.admin, mac="24:6f:28:00:60:09")
    before = await kinds(database)
    assert before.count("device_registered") == 5
    ages = Retention.parse("forever,device_registered=30d").ages()
    assert await delete_old_events(services, ages) == 4
    after = await kinds(database)
    assert after.count("device_registered") == 1
    assert [k for k in after if k != "device_registered"] == [
        k for k in before if k != "device_registered"
    ]
    assert await delete_old_events(services, ages) == 0


async def test_events_with_waiting_deliveries_are_kept(api: Api, database: Database) -> None:
    services: Any = api.app.state.database_supervisor.services
    await fan_out_started(api)
    await api.register(api.admin)
    await until_rows(database, SENT)
    await execute(database, "UPDATE events SET at = now() - interval '40 days'")
    await execute(
        database,
        "INSERT INTO recipients (channel, address, language, source) VALUES ('x', 'y', 'en', 'z')",
    )
    await execute(
        database,
        "INSERT INTO deliveries (recipient_id, event_id) SELECT r.id, e.id FROM recipients r, "
        "events e WHERE r.channel = 'x' AND e.kind = 'device_registered'",
    )
    ages = {EventKind.DEVICE_REGISTERED: timedelta(days=1)}
    assert await delete_old_events(services, ages) == 0
    await execute(database, "UPDATE deliveries SET state = 'sent', settled_at = now()")
    assert await delete_old_events(services, ages) == 1


async def test_events_before_fan_out_are_kept(api: Api, database: Database) -> None:
    services: Any = api.app.state.database_supervisor.services
    await fan_out_started(api)
    await api.register(api.admin)
    await until_rows(database, SENT)
    await execute(database, "UPDATE events SET at = now() - interval '40 days'")
    ages = {EventKind.DEVICE_REGISTERED: timedelta(days=1)}
    async with database.transaction() as session:
        await lock(session, Lock.FAN_OUT)
        await execute(database, "UPDATE fan_out_position SET tx = 0, event_id = 0")
        assert await delete_old_events(services, ages) == 0
    await until_rows(database, "SELECT 1 FROM fan_out_position WHERE tx > 0")
    assert await delete_old_events(services, ages) == 1


async def test_deliveries_are_kept_for_a_month(api: Api, database: Database) -> None:
    services: Any = api.app.state.database_supervisor.services
    await execute(
        database,
        "INSERT INTO recipients (channel, address, language, source) VALUES ('x', 'y', 'en', 'z')",
    )
    await execute(
        database,
        "INSERT INTO deliveries (recipient_id, event_id, state, settled_at) SELECT id, n, 'sent', "
        "now() - make_interval(days => 51 - n) FROM recipients, generate_series(1, 40) n "
        "WHERE channel = 'x'",
    )
    await delete_old_deliveries(services)
    assert len(await rows(database, "SELECT 1 FROM deliveries")) == 19
