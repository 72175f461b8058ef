"""`configChanged`: each change once and in order, from any server, also after a reconnect."""

import asyncio
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from db.devices import queries as device_queries
from db.devices.config_versions import start_new_version
from db.postgres.database import Database
from domain.access.caller import Scope, system
from server.settings import Settings
from tests.conftest import ADMIN, changed
from tests.events.live.serving import Instance, Socket, change_config, instance, streamed
from tests.support.client import BENCH
from tests.support.waiting import until


async def test_subscriber_receives_config_change(one: Instance, device: str) -> None:
    async with await Socket.open(one.url, ADMIN) as socket:
        await socket.subscribe()
        await until(lambda: one.subscriptions == 1)
        await change_config(one.api, device, 30)
        change = await socket.change()
    assert change["device"] == {"id": device, "owner": "Acme"}
    assert change["config"]["version"] == 2
    assert change["config"]["intervalSeconds"] == 30
    assert change["config"]["updatedBy"].startswith("admin:")
    assert change["previous"] == {"version": 1}


async def test_subscriber_receives_change_made_on_another_server(
    one: Instance, other: Instance, device: str
) -> None:
    async with await Socket.open(one.url, ADMIN) as socket, streamed(one.url, ADMIN) as stream:
        await socket.subscribe()
        await until(lambda: one.subscriptions == 2)
        for interval in range(10, 20):
            await change_config(other.api, device, interval)
        for subscriber in (socket, stream):
            seen = [(await subscriber.change())["config"]["version"] for _ in range(10)]
            assert seen == list(range(2, 12))


async def test_resume_after_cursor_delivers_each_change_once(
    one: Instance, other: Instance, device: str
) -> None:
    async with await Socket.open(one.url, ADMIN) as socket:
        await socket.subscribe()
        await until(lambda: one.subscriptions == 1)
        await change_config(one.api, device, 11)
        seen = await socket.change()
    for interval in (12, 13):
        await change_config(one.api, device, interval)
    async with await Socket.open(other.url, ADMIN) as socket:
        await socket.subscribe(after=seen["cursor"])
        versions = [(await socket.change())["config"]["version"] for _ in range(2)]
        await change_config(other.api, device, 14)
        versions.append((await socket.change())["config"]["version"])
    assert versions == [3, 4, 5]


async def test_subscribe_after_latest_cursor_and_after_zero(one: Instance, device: str) -> None:
    start = (await one.api.ask("{ latestCursor }"))["latestCursor"]
    await change_config(one.api, device, 11)
    async with streamed(one.url, ADMIN, after=start) as stream:
        assert (await stream.change())["config"]["version"] == 2
    async with streamed(one.url, ADMIN, after="0") as stream:
        assert (await stream.change())["config"]["version"] == 2


@pytest.mark.parametrize("cursor", ["", "x", "-1", "99999999", "9" * 30, "1e3", "٣"])
async def test_invalid_cursor_is_not_found(one: Instance, cursor: str) -> None:
    async with await Socket.open(one.url, ADMIN) as socket:
        await socket.subscribe(after=cursor)
        [error] = await socket.errors()
    assert error["extensions"]["code"] == "NOT_FOUND"
    assert error["extensions"]["problems"][0]["field"] == "after"
    await until(lambda: one.subscriptions == 0)


async def test_late_commit_with_lower_event_id_is_delivered(
    one: Instance, device: str, database_url: str
) -> None:
    """The late event has a lower id than an event that was committed earlier."""
    slow = await asyncpg.connect(database_url)
    try:
        async with await Socket.open(one.url, ADMIN) as socket:
            await socket.subscribe()
            await until(lambda: one.subscriptions == 1)
            await slow.execute("BEGIN")
            await slow.execute(
                """
                INSERT INTO events (kind, device_id, owner_id, actor, before, after)
                SELECT kind, device_id, owner_id, 'slow', '{"version": 90, "intervalSeconds": 1,
                  "qos": 1, "updatedAt": "2026-01-01T00:00:00+00:00", "updatedBy": "slow"}',
                  '{"version": 91, "intervalSeconds": 1, "qos": 1,
                  "updatedAt": "2026-01-01T00:00:00+00:00", "updatedBy": "slow"}'
                FROM events LIMIT 1
                """
            )
            await slow.execute("UPDATE events SET kind = 'config_changed' WHERE actor = 'slow'")
            await change_config(one.api, device, 30)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(socket.connection.recv(), 0.5)
            await slow.execute("COMMIT")
            seen = [await socket.change() for _ in range(2)]
        assert [change["config"]["version"] for change in seen] == [91, 2]
        async with await Socket.open(one.url, ADMIN) as socket:
            await socket.subscribe(after=seen[0]["cursor"])
            assert (await socket.change())["config"]["version"] == 2
    finally:
        await slow.close()


async def test_subscription_is_filtered_by_token_scope(one: Instance, device: str) -> None:
    foreign = await one.api.register(ADMIN, mac="24:6f:28:00:00:01", owner="Globex")
    foreign_id = foreign["device"]["id"]
    viewer = await one.api.key(kind="VIEWER", owner="Acme")
    device_token = (await one.api.register(await one.api.key(), mac="24:6f:28:00:00:02"))["token"]
    async with (
        await Socket.open(one.url, viewer) as acme,
        await Socket.open(one.url, device_token) as alone,
        await Socket.open(one.url, ADMIN) as chosen,
        await Socket.open(one.url, ADMIN) as owned,
    ):
        await acme.subscribe()
        await alone.subscribe()
        await chosen.subscribe(deviceId=foreign_id.upper())
        await owned.subscribe(owner="GLOBEX")
        await until(lambda: one.subscriptions == 4)
        await change_config(one.api, device, 20)
        await change_config(one.api, foreign_id, 21)
        own_id = (await one.api.ask("{ me { id } }", device_token))["me"]["id"]
        await change_config(one.api, own_id, 22)
        assert [(await acme.change())["device"]["id"] for _ in range(2)] == [device, own_id]
        assert (await alone.change())["device"]["id"] == own_id
        assert (await chosen.change())["device"]["id"] == foreign_id
        assert (await owned.change())["device"]["id"] == foreign_id
    async with streamed(one.url, viewer, after="0") as replayed:
        assert [(await replayed.change())["device"]["id"] for _ in range(2)] == [device, own_id]


async def test_shared_result_respects_scope_of_each_subscriber(one: Instance, device: str) -> None:
    """Subscribers with the same query and scope share a result. The device moves to Globex."""
    foreign = await one.api.register(ADMIN, mac="24:6f:28:00:00:01", owner="Globex")
    acme = await one.api.key(kind="VIEWER", owner="Acme")
    services = one.app.state.database_supervisor.services
    async with (
        await Socket.open(one.url, ADMIN) as first,
        await Socket.open(one.url, acme) as confined,
        await Socket.open(one.url, ADMIN) as second,
    ):
        for socket in (first, confined, second):
            await socket.subscribe()
        await until(lambda: one.subscriptions == 3)
        async with services.database.transaction() as session:
            globex = await device_queries.find(session, Scope(), foreign["device"]["id"])
            moved = await device_queries.find_for_update(session, Scope(), device)
            assert globex
            assert moved
            start_new_version(session, system("test"), moved, interval_seconds=21)
            await session.flush()
            moved.owner = globex.owner
        changes = [await socket.change() for socket in (first, confined, second)]
    assert {change["config"]["intervalSeconds"] for change in changes} == {21}
    assert changes[0] == changes[2]
    assert changes[0]["device"]["owner"] == "Globex"
    assert changes[1]["device"] is None


@pytest.mark.parametrize(
    "variables", [{"deviceId": "0" * 32}, {"deviceId": "x"}, {"owner": "Unknown"}]
)
async def test_subscribe_to_unknown_device_or_owner_is_not_found(
    one: Instance, variables: dict[str, str]
) -> None:
    async with await Socket.open(one.url, ADMIN) as socket:
        await socket.subscribe(**variables)
        [error] = await socket.errors()
        assert error["extensions"]["code"] == "NOT_FOUND"
        assert error["extensions"]["problems"][0]["field"] in variables


async def test_subscribe_to_device_of_another_owner_is_not_found(
    one: Instance, device: str
) -> None:
    await one.api.register(ADMIN, mac="24:6f:28:00:00:01", owner="Globex")
    viewer = await one.api.key(kind="VIEWER", owner="Globex")
    selections: list[dict[str, Any]] = [{"deviceId": device}, {"owner": "Acme"}]
    async with await Socket.open(one.url, viewer) as socket:
        for variables in selections:
            await socket.subscribe(**variables)
            assert (await socket.errors())[0]["extensions"]["code"] == "NOT_FOUND"


async def test_enrolment_key_may_not_subscribe(one: Instance) -> None:
    async with await Socket.open(one.url, await one.api.key()) as socket:
        await socket.subscribe()
        assert (await socket.errors())[0]["extensions"]["code"] == "FORBIDDEN"


async def test_moved_device_is_hidden_from_former_owner(one: Instance, device: str) -> None:
    await one.api.register(ADMIN, mac="24:6f:28:00:00:01", owner="Globex")
    await change_config(one.api, device, 20)
    await one.api.change("updateDevice", id=device, owner="Globex")
    viewer = await one.api.key(kind="VIEWER", owner="Acme")
    async with streamed(one.url, viewer, after="0") as stream:
        change = await stream.change()
    assert (change["device"], change["config"]["version"]) == (None, 2)
    new = await one.api.key(kind="VIEWER", owner="Globex")
    async with streamed(one.url, new, after="0") as stream:
        change = await stream.change()
    assert (change["device"]["owner"], change["config"]["version"]) == ("Globex", 3)


async def test_long_replay_is_complete_and_in_order(
    one: Instance, device: str, database: Database
) -> None:
    count = 1_234
    await write_changes(database, device, count)
    async with streamed(one.url, ADMIN, after="0") as stream:
        versions = [(await stream.change())["config"]["version"] for _ in range(count)]
        await change_config(one.api, device, 33)
        assert (await stream.change())["config"]["intervalSeconds"] == 33
    assert versions == list(range(2, count + 2))


async def test_slow_consumer_is_disconnected_and_can_resume(
    settings: Settings, database: Database
) -> None:
    """`max_queue`: messages that this client buffers before it stops reading from its socket."""
    count = 60_000
    async with instance(changed(settings, max_waiting_events=500)) as one:
        device = (await one.api.register(ADMIN, **BENCH))["device"]["id"]
        async with await Socket.open(one.url, ADMIN, max_queue=4) as socket:
            await socket.subscribe()
            await until(lambda: one.subscriptions == 1)
            await write_changes(database, device, count)
            feed = one.app.state.database_supervisor.services.feeds.changes
            await until(lambda: feed.slow_consumers == 1)
            seen = [await socket.change()]
            while (message := await next_or_close(socket)) is not None:
                seen.append(message)
        assert socket.connection.close_code == 4413
        assert "resume" in (socket.connection.close_reason or "")
        versions = [change["config"]["version"] for change in seen]
        assert versions == list(range(2, 2 + len(versions)))
        assert len(versions) < count
        async with await Socket.open(one.url, ADMIN) as socket:
            await socket.subscribe(after=seen[-1]["cursor"])
            assert (await socket.change())["config"]["version"] == versions[-1] + 1


async def test_event_log_restored_to_another_postgres_is_usable(
    settings: Settings, database: Database
) -> None:
    """The restored transaction ids are higher than those of the new PostgreSQL."""
    async with instance(settings) as one:
        device = (await one.api.register(ADMIN, **BENCH))["device"]["id"]
        for interval in (10, 11, 12):
            await change_config(one.api, device, interval)
        async with streamed(one.url, ADMIN, after="0") as stream:
            first = await stream.change()
    async with database.transaction() as session:
        await session.execute(text("UPDATE events SET tx = tx + 1000000000"))
    async with instance(settings) as one, streamed(one.url, ADMIN, after=first["cursor"]) as stream:
        await until(lambda: one.subscriptions == 1)
        await change_config(one.api, device, 13)
        assert [(await stream.change())["config"]["version"] for _ in range(3)] == [3, 4, 5]


async def next_or_close(socket: Socket) -> Any:
    try:
        return await socket.change()
    except Exception:  # noqa: BLE001  the caller checks the close code
        return None


async def write_changes(database: Database, device: str, count: int) -> None:
    """Insert config changes into the event log in one transaction."""
    async with database.transaction() as session:
        await session.execute(
            text(
                """
                INSERT INTO events (kind, device_id, owner_id, actor, before, after)
                SELECT 'config_changed', d.id, d.owner_id, 'test',
                       jsonb_build_object('version', n, 'intervalSeconds', 60, 'qos', 1,
                           'updatedAt', now(), 'updatedBy', 'test'),
                       jsonb_build_object('version', n + 1, 'intervalSeconds', 60, 'qos', 1,
                           'updatedAt', now(), 'updatedBy', 'test')
                FROM devices d, generate_series(1, :count) n
                WHERE d.id = :device ORDER BY n
                """
            ),
            {"device": device, "count": count},
        )
