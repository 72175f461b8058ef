"""Many devices that register at once, and what is in the database afterwards."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from sqlalchemy import text

from db.postgres.database import Database
from db.postgres.sizes import FULL
from domain.devices.changes import CreateDevice, IssueToken
from domain.devices.identity import device_id
from server.settings import Settings
from tests.alerts.alerted import rows, rows_changed
from tests.conftest import ADMIN, changed, served
from tests.support.client import Api
from tests.support.events import events_of
from tests.support.waiting import until


def mac(number: int) -> str:
    return f"24:6f:28:01:{number // 256:02x}:{number % 256:02x}"


async def test_a_crowd_gets_what_single_ones_get(api: Api, database: Database) -> None:
    key = await api.key()
    first = await api.register(key, mac=mac(0))
    crowd = await asyncio.gather(*(api.register(key, mac=mac(n)) for n in range(1, 120)))
    found = [first, *crowd]
    assert {answer["outcome"] for answer in found} == {"CREATED"}
    assert len({answer["token"] for answer in found}) == 120
    ids = {answer["device"]["id"] for answer in found}
    assert len(ids) == 120
    for answer in crowd[:3]:
        for name in ("owner", "location", "config", "measurementType", "state", "sensorModel"):
            assert answer["device"][name] == first["device"][name]
        assert answer["device"]["topics"]["data"].startswith("acme/paris/temperature/")
    columns = (
        "owner_id, place_id, measurement_type_id, latitude, longitude, sensor_model, firmware, "
        "state, awaits_approval, reenrolment_refused, config_version, interval_seconds, qos, "
        "synced, online, "
        "last_seen_at = registered_at AS seen, updated_at = registered_at AS updated, listen"
    )
    assert (
        len({tuple(map(str, r)) for r in await rows(database, f"SELECT {columns} FROM devices")})
        == 1
    )
    tokens = "kind, waiting, uses, max_uses, mqtt_hash IS NULL, issued_by, created_by, confirmed_at"
    made = await rows(database, f"SELECT {tokens} FROM tokens WHERE kind = 'device'")
    assert len(made) == 120
    assert len(set(made)) == 1
    events = await events_of(database, "device_registered")
    assert len(events) == 120
    assert {event.actor for event in events} == {events[0].actor}
    assert {tuple(event.after) for event in events} == {tuple(events[0].after)}
    assert len(await rows(database, "SELECT 1 FROM config_outbox")) == 120
    search = await api.ask('{ devices(filter: {search: "bme280"}) { totalCount } }')
    assert search["devices"]["totalCount"] == 120
    for answer in crowd[::40]:
        me = await api.ask("{ me { id } }", answer["token"])
        assert me["me"]["id"] == answer["device"]["id"]


async def test_the_same_device_twice_in_one_crowd(api: Api, database: Database) -> None:
    key = await api.key()
    await api.register(key, mac=mac(0))
    found = await asyncio.gather(*(api.register(key, mac=mac(1 + n // 4)) for n in range(40)))
    assert len({answer["device"]["id"] for answer in found}) == 10
    outcomes = [answer["outcome"] for answer in found]
    assert outcomes.count("CREATED") == 10
    assert set(outcomes) == {"CREATED", "RENEWED"}
    assert len(await events_of(database, "device_registered")) == 11


async def test_a_device_that_was_deleted_goes_on_with_its_versions(api: Api) -> None:
    key = await api.key()
    await api.register(key, mac=mac(0))
    id = (await api.register(key, mac=mac(1)))["device"]["id"]
    await api.change("updateConfig", deviceId=id, qos=0)
    await api.change("deleteDevice", id=id)
    again = await api.register(key, mac=mac(1))
    assert (again["outcome"], again["device"]["config"]["version"]) == ("CREATED", 3)


@pytest.mark.parametrize("enrolment", ["open", "approve"])
async def test_what_the_policy_says(settings: Settings, enrolment: str) -> None:
    async with served(changed(settings, enrolment=enrolment)) as api:
        await api.register(ADMIN, mac=mac(0))
        token = None if enrolment == "open" else await api.key()
        found = await api.register(token, mac=mac(1))
        assert found["outcome"] == ("CREATED" if enrolment == "open" else "PENDING")


async def test_keys_that_are_confined_or_counted(api: Api) -> None:
    await api.register(ADMIN, mac=mac(0))
    await api.register(ADMIN, mac=mac(1), owner="Globex")
    key = await api.key(owner="Acme", maxUses=2)
    outcomes = [(await api.register(key, mac=mac(n)))["outcome"] for n in (2, 3, 4)]
    assert outcomes == ["CREATED", "CREATED", None]
    mine = await api.key(owner="Acme")
    assert (await api.register(mine, mac=mac(5), owner=None))["device"]["owner"] == "Acme"
    foreign = await api.register(mine, mac=mac(6), owner="Globex")
    assert [error["code"] for error in foreign["errors"]] == ["NOT_ALLOWED"]


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


def new(number: int, level: Level, **odd: Any) -> CreateDevice:
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
        "counted_key": None,
        "facts": {},
        "at": datetime.now(UTC),
        "last_seen_at": None,
    }
    return CreateDevice(**{**values, **odd})


async def test_one_bad_row_fails_no_neighbour(api: Api, database: Database) -> None:
    await api.register(ADMIN, mac=mac(0))
    level, writes = await level_of(database), api.app.state.database_supervisor.services.writes
    good = [writes.create_device(new(number, level)) for number in range(1, 6)]
    bad = writes.create_device(new(9, level, owner_id=999_999))
    numbers = await asyncio.gather(*good, bad)
    assert all(numbers[:5])
    assert numbers[5] is None
    assert await rows(database, "SELECT count(*) FROM devices") == [(6,)]


@pytest.mark.parametrize("in_turn", [False, True])
async def test_a_device_is_created_only_above_what_a_deleted_one_has_left(
    api: Api, database: Database, in_turn: bool
) -> None:
    await api.register(ADMIN, mac=mac(0))
    level, writes = await level_of(database), api.app.state.database_supervisor.services.writes
    left = new(1, level).id
    await rows_changed(
        database, f"INSERT INTO deleted_devices VALUES ('{left}', 7, 'a/b/c/{left}', now())"
    )
    await rows_changed(
        database, f"INSERT INTO stale_topics (topic, device_id) VALUES ('a/b/c/{left}', '{left}')"
    )

    async def created(**odd: Any) -> bool:
        if not in_turn:
            return await writes.create_device(new(1, level, **odd)) is not None
        async with database.transaction() as session:
            return await writes.create_device(new(1, level, **odd), session) is not None

    assert [await created(config_version=version) for version in (1, 7, 9)] == [False] * 3
    assert await created(config_version=8)
    assert not await created(config_version=8)
    assert await rows(database, "SELECT topic FROM stale_topics") == []


async def test_a_device_registered_while_it_is_deleted_comes_back_above_its_version(
    api: Api, database: Database
) -> None:
    """The statement has read what deletions left behind before it waits for this one."""
    key = await api.key()
    await api.register(key, mac=mac(0))
    device = (await api.register(key, mac=mac(1)))["device"]
    for seconds in (10, 20, 30):
        await api.change("updateConfig", deviceId=device["id"], intervalSeconds=seconds)
    async with database.transaction() as session:
        left = {"id": device["id"], "topic": device["topics"]["data"]}
        await session.execute(text("DELETE FROM devices WHERE id = :id"), left)
        await session.execute(
            text("INSERT INTO deleted_devices VALUES (:id, 4, :topic, now())"), left
        )
        registering = asyncio.create_task(api.register(key, mac=mac(1)))
        waits = text(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        await until(lambda: session.scalar(waits))
    again = await registering
    assert (again["outcome"], again["device"]["config"]["version"]) == ("CREATED", 5)


async def test_a_counted_key_is_used_as_often_as_it_says(
    settings: Settings, database: Database
) -> None:
    """Through two servers at once; names are made for no device that is not created."""
    async with served(settings) as one, served(settings) as other:
        key = await one.key(maxUses=7)
        found = await asyncio.gather(
            *(
                api.register(key, mac=mac(n), location={"place": f"Room {n}"})
                for n, api in enumerate((one, other) * 10)
            )
        )
        outcomes = [answer["outcome"] for answer in found]
        assert (outcomes.count("CREATED"), outcomes.count(None)) == (7, 13)
        assert {error["code"] for answer in found for error in answer["errors"]} == {"USED_UP"}
        assert await rows(database, "SELECT uses FROM tokens WHERE max_uses = 7") == [(7,)]
        again = [answer["device"]["id"] for answer in found if answer["device"]]
        renewed = [
            await one.register(key, mac=mac(n), location={"place": "Elsewhere"})
            for n, answer in enumerate(found)
            if answer["device"]
        ]
        assert [answer["device"]["id"] for answer in renewed] == again
        assert {answer["outcome"] for answer in renewed} == {"RENEWED"}
        late = await one.register(key, mac=mac(99), location={"place": "Nowhere"})
        assert [error["code"] for error in late["errors"]] == ["USED_UP"]
        assert await rows(database, "SELECT 1 FROM places WHERE name = 'Nowhere'") == []


async def test_who_goes_away_takes_nobody_along(api: Api, database: Database) -> None:
    """A caller that is cancelled while its batch is on its way."""
    key = await api.key()
    await api.register(key, mac=mac(0))
    writes = api.app.state.database_supervisor.services.writes
    async with database.transaction() as session:
        await session.execute(text("LOCK TABLE devices IN SHARE MODE"))
        tasks = [asyncio.create_task(api.register(key, mac=mac(n))) for n in range(1, 20)]
        await until(lambda: bool(writes._create_device.batcher._running))
        tasks[3].cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    well = [answer for answer in found if isinstance(answer, dict)]
    assert {answer["outcome"] for answer in well} == {"CREATED"}
    assert len(well) >= 18
    assert len(await rows(database, "SELECT 1 FROM devices")) >= 19


async def test_a_crowd_that_boots_again(api: Api, database: Database) -> None:
    key = await api.key()
    await api.register(key, mac=mac(0))
    first = await asyncio.gather(*(api.register(key, mac=mac(n)) for n in range(1, 40)))
    await asyncio.gather(*(api.ask("{ me { id } }", answer["token"]) for answer in first))
    again = await asyncio.gather(
        *(
            api.register(answer["token"], mac=mac(n), appliedVersion=1)
            for n, answer in enumerate(first, 1)
        )
    )
    assert {(a["outcome"], a["token"]) for a in again} == {("KNOWN", None)}
    assert {a["device"]["inSync"] for a in again} == {True}
    for field in ("id", "topics", "config"):
        assert [a["device"][field] for a in again] == [a["device"][field] for a in first]
    assert len(await events_of(database, "config_applied")) == 39
    third = await asyncio.gather(
        *(
            api.register(answer["token"], mac=mac(n), appliedVersion=1)
            for n, answer in enumerate(first, 1)
        )
    )
    assert {a["outcome"] for a in third} == {"KNOWN"}
    assert len(await events_of(database, "config_applied")) == 39


async def test_a_device_that_boots_with_news(api: Api) -> None:
    token = (await api.register(await api.key()))["token"]
    await api.ask("{ me { id } }", token)
    answer = await api.register(token, firmware="2.0.0", sensorModel=None)
    assert (answer["outcome"], answer["device"]["firmware"]) == ("KNOWN", "2.0.0")
    assert answer["device"]["sensorModel"] == "BME280"
    other = await api.register(token, mac=mac(7))
    assert [error["code"] for error in other["errors"]] == ["NOT_ALLOWED"]


async def test_a_device_that_boots_has_moved(api: Api, database: Database) -> None:
    """It had applied the config already, as somebody may know from its former topic."""
    device = await api.register(await api.key())
    id, token = device["device"]["id"], device["token"]
    await api.ask("{ me { id } }", token)
    await api.change("updateDevice", id=id, location={"place": "Rome"})
    async with database.transaction() as session:
        await session.execute(text("UPDATE devices SET applied_version = 2"))
    await api.register(token, appliedVersion=2)
    assert [e.device_id for e in await events_of(database, "device_moved")] == [id]
    assert await rows(database, "SELECT 1 FROM former_topics") == []


async def test_a_crowd_that_has_lost_its_answers(api: Api, database: Database) -> None:
    key = await api.key()
    single = await api.register(key, mac=mac(0))
    lost = await asyncio.gather(*(api.register(key, mac=mac(n)) for n in range(1, 60)))
    await api.register(ADMIN, mac=mac(0))
    await api.change("updateConfig", deviceId=lost[0]["device"]["id"], qos=0)
    numbers = f"SELECT id FROM tokens WHERE device_id <> '{single['device']['id']}' ORDER BY id"
    before = await rows(database, numbers)
    found = await asyncio.gather(*(api.register(key, mac=mac(n)) for n in range(1, 60)))
    assert {answer["outcome"] for answer in found} == {"RENEWED"}
    assert len(await rows(database, numbers)) == len(before)
    assert [a["device"]["id"] for a in found] == [a["device"]["id"] for a in lost]
    assert found[0]["device"]["config"]["qos"] == 0
    assert {a["device"]["config"]["version"] for a in found[1:]} == {1}
    tokens = "kind, waiting, mqtt_hash IS NULL, issued_by, created_by, confirmed_at, revoked_at"
    made = await rows(
        database, f"SELECT {tokens} FROM tokens WHERE device_id <> '{single['device']['id']}'"
    )
    assert len(made) == 59
    assert len(set(made)) == 1
    told = await events_of(database, "token_renewed")
    assert len(told) == 60
    assert len({(event.actor, event.owner_id, str(event.after)) for event in told[1:]}) == 1
    for old, new in zip(lost[::20], found[::20], strict=True):
        assert (await api.post("{ me { id } }", old["token"])).status_code == 401
        me = await api.ask("{ me { id } }", new["token"])
        assert me["me"]["id"] == old["device"]["id"]


async def test_more_devices_in_turn_than_connections_do_not_wait_for_each_other(
    api: Api,
) -> None:
    """Each has lost the first attempt, and makes names in a transaction beside the one it has."""
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


@pytest.mark.parametrize("in_turn", [False, True])
async def test_a_token_is_issued_only_under_its_guard(
    api: Api, database: Database, in_turn: bool
) -> None:
    made = await api.register(await api.key())
    id, writes = made["device"]["id"], api.app.state.database_supervisor.services.writes
    [(revision,)] = await rows(database, "SELECT access_revision FROM devices")

    async def issued(**odd: Any) -> bool:
        values: dict[str, Any] = {
            "id": id,
            "access_revision": revision,
            "hash": b"another",
            "mqtt_hash": "x",
            "issued_by": None,
            "waiting": False,
            "at": datetime.now(UTC),
            "actor": "enrol:1",
        }
        write = IssueToken(**{**values, **odd})
        if not in_turn:
            return bool(await writes.issue_token(write))
        async with database.transaction() as session:
            return bool(await writes.issue_token(write, session))

    assert not await issued(access_revision=revision + 1)
    assert not await issued(id="0" * 32)
    assert (await api.post("{ me { id } }", made["token"])).status_code == 200
    assert not await issued()
    assert await events_of(database, "token_renewed") == []


async def test_a_new_token_removes_the_unused_ones_of_its_sort(
    api: Api, database: Database
) -> None:
    """A waiting one leaves the others as they are; one that works leaves none."""
    key, other = await api.key(), await api.key()
    await api.register(key)
    tokens = "SELECT waiting FROM tokens WHERE kind = 'device' ORDER BY waiting"
    for _ in range(2):
        assert (await api.register(other))["outcome"] == "PENDING"
        assert await rows(database, tokens) == [(False,), (True,)]
    assert len(await events_of(database, "enrolment_requested")) == 1
    assert (await api.register(key))["outcome"] == "RENEWED"
    assert await rows(database, tokens) == [(False,)]
    flags = "SELECT awaits_approval, reenrolment_refused, state FROM devices"
    assert await rows(database, flags) == [(False, False, "active")]


async def test_the_old_token_is_used_while_a_new_one_is_asked_for(
    api: Api, database: Database
) -> None:
    """One of the two comes first, and the other one hears of it."""
    key = await api.key()
    await api.register(key, mac=mac(0))
    for number in range(1, 25):
        old = (await api.register(key, mac=mac(number)))["token"]
        used, answer = await asyncio.gather(
            api.post("{ me { id } }", old), api.register(key, mac=mac(number))
        )
        if answer["outcome"] == "RENEWED":
            assert used.status_code == 401
            assert (await api.post("{ me { id } }", old)).status_code == 401
            assert (await api.post("{ me { id } }", answer["token"])).status_code == 200
        else:
            assert (used.status_code, answer["outcome"]) == (200, "PENDING")
    live = "SELECT device_id FROM tokens WHERE kind = 'device' AND NOT waiting"
    assert len(await rows(database, live)) == 25


@pytest.mark.parametrize(
    "meanwhile",
    ["UPDATE tokens SET hash = 'another' WHERE kind = 'device'", "DELETE FROM tokens"],
)
async def test_a_token_that_is_replaced_while_it_is_first_used(
    api: Api, database: Database, meanwhile: str
) -> None:
    token = (await api.register(await api.key()))["token"]
    async with database.transaction() as session:
        await session.execute(text("SELECT 1 FROM devices FOR UPDATE"))
        using = asyncio.create_task(api.post("{ me { id } }", token))
        waits = text(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        await until(lambda: session.scalar(waits))
        await session.execute(text(meanwhile))
    assert (await using).status_code == 401
    assert await events_of(database, "token_confirmed") == []
