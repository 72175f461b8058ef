"""Events and deliveries that are too old."""

from datetime import timedelta
from typing import Any

from db.postgres.advisory_locks import Lock, lock
from db.postgres.database import Database
from domain.events.kinds import EventKind
from domain.events.retention import Retention
from resolvers.maintenance import delete_old_deliveries, delete_old_events
from tests.alerts.alerted import rows, rows_changed, started, until_rows
from tests.support.client import Api

TOLD = "SELECT 1 FROM deliveries n, events e WHERE n.event_id = e.id AND n.state = 'sent'"


async def kinds(database: Database) -> list[str]:
    return [row.kind for row in await rows(database, "SELECT kind FROM events ORDER BY id")]


async def test_events_are_forgotten_by_kind_and_age(api: Api, database: Database) -> None:
    services: Any = api.app.state.database_supervisor.services
    await started(api)
    for number in range(4):
        await api.register(api.admin, mac=f"24:6f:28:00:60:0{number}")
    await until_rows(database, TOLD, 4)
    await rows_changed(database, "UPDATE events SET at = now() - interval '40 days'")
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


async def test_what_somebody_is_still_to_be_told_of_stays(api: Api, database: Database) -> None:
    services: Any = api.app.state.database_supervisor.services
    await started(api)
    await api.register(api.admin)
    await until_rows(database, TOLD)
    await rows_changed(database, "UPDATE events SET at = now() - interval '40 days'")
    await rows_changed(
        database,
        "INSERT INTO recipients (channel, address, language, source) VALUES ('x', 'y', 'en', 'z')",
    )
    await rows_changed(
        database,
        "INSERT INTO deliveries (recipient_id, event_id) SELECT r.id, e.id FROM recipients r, "
        "events e WHERE r.channel = 'x' AND e.kind = 'device_registered'",
    )
    ages = {EventKind.DEVICE_REGISTERED: timedelta(days=1)}
    assert await delete_old_events(services, ages) == 0
    await rows_changed(database, "UPDATE deliveries SET state = 'sent', settled_at = now()")
    assert await delete_old_events(services, ages) == 1


async def test_what_was_not_handed_out_yet_stays(api: Api, database: Database) -> None:
    services: Any = api.app.state.database_supervisor.services
    await started(api)
    await api.register(api.admin)
    await until_rows(database, TOLD)
    await rows_changed(database, "UPDATE events SET at = now() - interval '40 days'")
    ages = {EventKind.DEVICE_REGISTERED: timedelta(days=1)}
    async with database.transaction() as session:
        await lock(session, Lock.FAN_OUT)
        await rows_changed(database, "UPDATE fan_out_position SET tx = 0, event_id = 0")
        assert await delete_old_events(services, ages) == 0
    await until_rows(database, "SELECT 1 FROM fan_out_position WHERE tx > 0")
    assert await delete_old_events(services, ages) == 1


async def test_deliveries_are_kept_for_a_month(api: Api, database: Database) -> None:
    services: Any = api.app.state.database_supervisor.services
    await rows_changed(
        database,
        "INSERT INTO recipients (channel, address, language, source) VALUES ('x', 'y', 'en', 'z')",
    )
    await rows_changed(
        database,
        "INSERT INTO deliveries (recipient_id, event_id, state, settled_at) SELECT id, n, 'sent', "
        "now() - make_interval(days => 51 - n) FROM recipients, generate_series(1, 40) n "
        "WHERE channel = 'x'",
    )
    await delete_old_deliveries(services)
    assert len(await rows(database, "SELECT 1 FROM deliveries")) == 19
