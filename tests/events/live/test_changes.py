"""`configChanged`: each change once, in order, through whichever server, also after a break."""

import asyncio
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from db.devices import queries as device_queries
from db.postgres.database import Database
from domain.access.caller import Scope, system
from resolvers.devices.config import start_new_version
from server.settings import Settings
from tests.conftest import ADMIN, changed
from tests.events.live.serving import Instance, Socket, change_config, instance, streamed
from tests.support.client import BENCH
from tests.support.waiting import until


async def test_a_change_is_seen(one: Instance, device: str) -> None:
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


async def test_a_change_through_another_server_is_seen(
    one: Instance, other: Instance, device: str
) -> None:
    async with await Socket.open(one.url, ADMIN) as socket, streamed(one.url, ADMIN) as stream:
        await socket.subscribe()
        await until(lambda: one.subscriptions == 2)
        for interval in range(10, 20):
            await change_config(other.api, device, interval)
        for follower in (socket, stream):
            seen = [(await follower.change())["config"]["version"] for _ in range(10)]
            assert seen == list(range(2, 12))


async def test_whoever_resumes_misses_nothing_and_sees_nothing_twice(
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


async def test_following_from_the_latest_cursor(one: Instance, device: str) -> None:
    start = (await one.api.ask("{ latestCursor }"))["latestCursor"]
    await change_config(one.api, device, 11)
    async with streamed(one.url, ADMIN, after=start) as stream:
        assert (await stream.change())["config"]["version"] == 2
    async with streamed(one.url, ADMIN, after="0") as stream:
        assert (await stream.change())["config"]["version"] == 2


@pytest.mark.parametrize("cursor", ["", "x", "-1", "99999999", "9" * 30, "1e3", "٣"])
async def test_a_cursor_that_is_none(one: Instance, cursor: str) -> None:
    async with await Socket.open(one.url, ADMIN) as socket:
        await socket.subscribe(after=cursor)
        [error] = await socket.errors()
    assert error["extensions"]["code"] == "NOT_FOUND"
    assert error["extensions"]["problems"][0]["field"] == "after"
    await until(lambda: one.subscriptions == 0)


async def test_a_transaction_that_commits_late_is_not_missed(
    one: Instance, device: str, database_url: str
) -> None:
    """Its event has the lower id, and another one's was seen before."""
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


async def test_a_subscriber_sees_what_its_token_may_see(one: Instance, device: str) -> None:
    foreign = await one.api.register(ADMIN, mac="24:6f:28:00:00:01", owner="Globex")
    foreign_id = foreign["device"]["id"]
    viewer = await one.api.key(kind="VIEWER", owner="Acme")
    own = (await one.api.register(await one.api.key(), mac="24:6f:28:00:00:02"))["token"]
    async with (
        await Socket.open(one.url, viewer) as acme,
        await Socket.open(one.url, own) as alone,
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
        mine = (await one.api.ask("{ me { id } }", own))["me"]["id"]
        await change_config(one.api, mine, 22)
        assert [(await acme.change())["device"]["id"] for _ in range(2)] == [device, mine]
        assert (await alone.change())["device"]["id"] == mine
        assert (await chosen.change())["device"]["id"] == foreign_id
        assert (await owned.change())["device"]["id"] == foreign_id
    async with streamed(one.url, viewer, after="0") as replayed:
        assert [(await replayed.change())["device"]["id"] for _ in range(2)] == [device, mine]


async def test_what_is_told_to_one_is_not_told_to_another(one: Instance, device: str) -> None:
    """Who asks for the same and sees the same is told the same; the device is Globex's by now."""
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
        told = [await socket.change() for socket in (first, confined, second)]
    assert {change["config"]["intervalSeconds"] for change in told} == {21}
    assert told[0] == told[2]
    assert told[0]["device"]["owner"] == "Globex"
    assert told[1]["device"] is None


@pytest.mark.parametrize("wanted", [{"deviceId": "0" * 32}, {"deviceId": "x"}, {"owner": "Nobody"}])
async def test_following_what_is_not_there(one: Instance, wanted: dict[str, str]) -> None:
    async with await Socket.open(one.url, ADMIN) as socket:
        await socket.subscribe(**wanted)
        [error] = await socket.errors()
        assert error["extensions"]["code"] == "NOT_FOUND"
        assert error["extensions"]["problems"][0]["field"] in wanted


async def test_another_owners_devices_can_not_be_followed(one: Instance, device: str) -> None:
    await one.api.register(ADMIN, mac="24:6f:28:00:00:01", owner="Globex")
    viewer = await one.api.key(kind="VIEWER", owner="Globex")
    wanted: list[dict[str, Any]] = [{"deviceId": device}, {"owner": "Acme"}]
    async with await Socket.open(one.url, viewer) as socket:
        for variables in wanted:
            await socket.subscribe(**variables)
            assert (await socket.errors())[0]["extensions"]["code"] == "NOT_FOUND"


async def test_an_enrolment_key_follows_nothing(one: Instance) -> None:
    async with await Socket.open(one.url, await one.api.key()) as socket:
        await socket.subscribe()
        assert (await socket.errors())[0]["extensions"]["code"] == "FORBIDDEN"


async def test_a_device_that_has_moved_on_is_not_shown_to_its_old_owner(
    one: Instance, device: str
) -> None:
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


async def test_a_long_history_comes_whole_and_in_order(
    one: Instance, device: str, database: Database
) -> None:
    count = 1_234
    await write_changes(database, device, count)
    async with streamed(one.url, ADMIN, after="0") as stream:
        versions = [(await stream.change())["config"]["version"] for _ in range(count)]
        await change_config(one.api, device, 33)
        assert (await stream.change())["config"]["intervalSeconds"] == 33
    assert versions == list(range(2, count + 2))


async def test_a_slow_reader_is_cut_off_and_can_resume(
    settings: Settings, database: Database
) -> None:
    """`max_queue`: how much this client takes before it stops to read from its socket."""
    count = 60_000
    async with instance(changed(settings, max_waiting_events=500)) as one:
        device = (await one.api.register(ADMIN, **BENCH))["device"]["id"]
        async with await Socket.open(one.url, ADMIN, max_queue=4) as socket:
            await socket.subscribe()
            await until(lambda: one.subscriptions == 1)
            await write_changes(database, device, count)
            feed = one.app.state.database_supervisor.services.feeds.changes
            await until(lambda: feed.cut_off == 1)
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


async def test_a_log_restored_to_another_server_goes_on(
    settings: Settings, database: Database
) -> None:
    """Its transaction numbers are from a server that had counted further."""
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
    except Exception:  # noqa: BLE001  the close is looked at by whoever asks
        return None


async def write_changes(database: Database, device: str, count: int) -> None:
    """As many config changes, straight into the log and in one transaction."""
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
