"""Concurrent registrations, which are written in batches, and their rows in the database."""

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
from tests.alerts.alert_server import execute, rows
from tests.conftest import ADMIN, changed, served
from tests.support.client import Api
from tests.support.events import events_of
from tests.support.waiting import until


def mac(number: int) -> str:
    return f"24:6f:28:01:{number // 256:02x}:{number % 256:02x}"


async def test_concurrent_registrations_equal_a_single_one(api: Api, database: Database) -> None:
    key = await api.key()
    first = await api.register(key, mac=mac(0))
    concurrent = await asyncio.gather(*(api.register(key, mac=mac(n)) for n in range(1, 120)))
    found = [first, *concurrent]
    assert {answer["outcome"] for answer in found} == {"CREATED"}
    assert len({answer["token"] for answer in found}) == 120
    ids = {answer["device"]["id"] for answer in found}
    assert len(ids) == 120
    for answer in concurrent[:3]:
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
    for answer in concurrent[::40]:
        me = await api.ask("{ me { id } }", answer["token"])
        assert me["me"]["id"] == answer["device"]["id"]


async def test_same_device_several_times_in_one_batch(api: Api, database: Database) -> None:
    key = await api.key()
    await api.register(key, mac=mac(0))
    found = await asyncio.gather(*(api.register(key, mac=mac(1 + n // 4)) for n in range(40)))
    assert len({answer["device"]["id"] for answer in found}) == 10
    outcomes = [answer["outcome"] for answer in found]
    assert outcomes.count("CREATED") == 10
    assert set(outcomes) == {"CREATED", "RENEWED"}
    assert len(await events_of(database, "device_registered")) == 11


async def test_deleted_device_continues_its_config_versions(api: Api) -> None:
    key = await api.key()
    await api.register(key, mac=mac(0))
    id = (await api.register(key, mac=mac(1)))["device"]["id"]
    await api.change("updateConfig", deviceId=id, qos=0)
    await api.change("deleteDevice", id=id)
    again = await api.register(key, mac=mac(1))
    assert (again["outcome"], again["device"]["config"]["version"]) == ("CREATED", 3)


@pytest.mark.parametrize("enrolment", ["open", "approve"])
async def test_registration_follows_enrolment_policy(settings: Settings, enrolment: str) -> None:
    async with served(changed(settings, enrolment=enrolment)) as api:
        await api.register(ADMIN, mac=mac(0))
        token = None if enrolment == "open" else await api.key()
        found = await api.register(token, mac=mac(1))
        assert found["outcome"] == ("CREATED" if enrolment == "open" else "PENDING")


async def test_keys_with_owner_or_max_uses(api: Api) -> None:
    await api.register(ADMIN, mac=mac(0))
    await api.register(ADMIN, mac=mac(1), owner="Globex")
    key = await api.key(owner="Acme", maxUses=2)
    outcomes = [(await api.register(key, mac=mac(n)))["outcome"] for n in (2, 3, 4)]
    assert outcomes == ["CREATED", "CREATED", None]
    owner_key = await api.key(owner="Acme")
    assert (await api.register(owner_key, mac=mac(5), owner=None))["device"]["owner"] == "Acme"
    foreign = await api.register(owner_key, mac=mac(6), owner="Globex")
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
        lock_waits = text(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        await until(lambda: session.scalar(lock_waits))
    again = await registration
    assert (again["outcome"], again["device"]["config"]["version"]) == ("CREATED", 5)


async def test_key_with_max_uses_is_limited_across_servers(
    settings: Settings, database: Database
) -> None:
    """Two servers at once. No topic level is created for a device that is not created."""
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


async def test_concurrent_registrations_of_known_devices(api: Api, database: Database) -> None:
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


async def test_registration_updates_firmware(api: Api) -> None:
    token = (await api.register(await api.key()))["token"]
    await api.ask("{ me { id } }", token)
    answer = await api.register(token, firmware="2.0.0", sensorModel=None)
    assert (answer["outcome"], answer["device"]["firmware"]) == ("KNOWN", "2.0.0")
    assert answer["device"]["sensorModel"] == "BME280"
    other = await api.register(token, mac=mac(7))
    assert [error["code"] for error in other["errors"]] == ["NOT_ALLOWED"]


async def test_registration_with_applied_version_completes_move(
    api: Api, database: Database
) -> None:
    """The config was already applied, as reported on the former topic."""
    device = await api.register(await api.key())
    id, token = device["device"]["id"], device["token"]
    await api.ask("{ me { id } }", token)
    await api.change("updateDevice", id=id, location={"place": "Rome"})
    async with database.transaction() as session:
        await session.execute(text("UPDATE devices SET applied_version = 2"))
    await api.register(token, appliedVersion=2)
    assert [e.device_id for e in await events_of(database, "device_moved")] == [id]
    assert await rows(database, "SELECT 1 FROM former_topics") == []


async def test_concurrent_renewals_after_lost_responses(api: Api, database: Database) -> None:
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
    events = await events_of(database, "token_renewed")
    assert len(events) == 60
    assert len({(event.actor, event.owner_id, str(event.after)) for event in events[1:]}) == 1
    for old, new in zip(lost[::20], found[::20], strict=True):
        assert (await api.post("{ me { id } }", old["token"])).status_code == 401
        me = await api.ask("{ me { id } }", new["token"])
        assert me["me"]["id"] == old["device"]["id"]


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


@pytest.mark.parametrize("in_transaction", [False, True])
async def test_issue_token_with_failed_guard_is_a_conflict(
    api: Api, database: Database, in_transaction: bool
) -> None:
    made = await api.register(await api.key())
    id, writes = made["device"]["id"], api.app.state.database_supervisor.services.writes
    [(revision,)] = await rows(database, "SELECT access_revision FROM devices")

    async def issued(**overrides: Any) -> bool:
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
        write = IssueToken(**{**values, **overrides})
        if not in_transaction:
            return bool(await writes.issue_token(write))
        async with database.transaction() as session:
            return bool(await writes.issue_token(write, session))

    assert not await issued(access_revision=revision + 1)
    assert not await issued(id="0" * 32)
    assert (await api.post("{ me { id } }", made["token"])).status_code == 200
    assert not await issued()
    assert await events_of(database, "token_renewed") == []


async def test_new_token_deletes_unused_tokens(api: Api, database: Database) -> None:
    """A pending token keeps active unused tokens; an active token deletes both kinds."""
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


async def test_use_of_old_token_during_renewal(api: Api, database: Database) -> None:
    """One of the two requests is first, and the other one sees its result."""
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
async def test_token_replaced_during_first_use_is_rejected(
    api: Api, database: Database, meanwhile: str
) -> None:
    token = (await api.register(await api.key()))["token"]
    async with database.transaction() as session:
        await session.execute(text("SELECT 1 FROM devices FOR UPDATE"))
        request = asyncio.create_task(api.post("{ me { id } }", token))
        lock_waits = text(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        await until(lambda: session.scalar(lock_waits))
        await session.execute(text(meanwhile))
    assert (await request).status_code == 401
    assert await events_of(database, "token_confirmed") == []
