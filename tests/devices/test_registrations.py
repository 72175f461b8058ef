"""Many devices that register at once, and what is in the database afterwards."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from db.postgres.database import Database
from db.writes.create_device import NewDevice, Registrar, Renewal
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
    assert len(await rows(database, "SELECT 1 FROM undelivered")) == 120
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


async def test_one_bad_row_fails_no_neighbour(api: Api, database: Database) -> None:
    await api.register(ADMIN, mac=mac(0))
    registrar: Registrar = api.app.state.keeper.desk.registrar
    [level] = await rows(
        database, "SELECT owner_id, place_id, measurement_type_id AS type FROM devices"
    )

    def new(number: int, **odd: Any) -> NewDevice:
        id = device_id(number.to_bytes(6))
        values = {
            "id": id,
            "owner_id": level.owner_id,
            "place_id": level.place_id,
            "measurement_type_id": level.type,
            "topic": f"a/b/c/{id}",
            "latitude": None,
            "longitude": None,
            "sensor_model": None,
            "firmware": None,
            "actor": "enrol:1",
            "words": ["a"],
            "hash": id.encode(),
            "mqtt_hash": "x",
            "issued_by": None,
            "facts": {},
            "at": datetime.now(UTC),
            "last_seen_at": None,
        }
        return NewDevice(**{**values, **odd})

    good = [registrar.add(new(number)) for number in range(1, 6)]
    bad = registrar.add(new(9, owner_id=999_999))
    numbers = await asyncio.gather(*good, bad)
    assert all(numbers[:5])
    assert numbers[5] is None
    async with database.begin() as session:
        count = await session.execute(text("SELECT count(*) FROM devices"))
        assert count.scalar_one() == 6


async def test_who_goes_away_takes_nobody_along(api: Api, database: Database) -> None:
    """A caller that is cancelled while its batch is on its way."""
    key = await api.key()
    await api.register(key, mac=mac(0))
    registrar: Registrar = api.app.state.keeper.desk.registrar
    async with database.begin() as session:
        await session.execute(text("LOCK TABLE devices IN SHARE MODE"))
        tasks = [asyncio.create_task(api.register(key, mac=mac(n))) for n in range(1, 20)]
        await until(lambda: bool(registrar._new.merged._running))
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
    async with database.begin() as session:
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
    # The slow way would have made new ones.
    assert await rows(database, numbers) == before
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


async def test_who_gets_no_token_without_a_closer_look(api: Api, database: Database) -> None:
    """Each by a reason of its own."""
    key = await api.key()
    renew = api.app.state.keeper.desk.registrar.renew

    async def renewed(device: Any, **odd: Any) -> bool:
        values = {
            "id": device["device"]["id"],
            "only_owner_id": None,
            "hash": device["token"].encode(),
            "mqtt_hash": "x",
            "issued_by": issued_by,
            "actor": "enrol:1",
            "at": datetime.now(UTC),
        }
        return await renew(Renewal(**{**values, **odd})) is not None

    devices = [await api.register(key, mac=mac(n)) for n in range(8)]
    [(issued_by,)] = set(await rows(database, "SELECT issued_by FROM tokens WHERE kind = 'device'"))
    [(owner_id,)] = await rows(database, "SELECT id FROM owners")
    assert await renewed(devices[0], only_owner_id=owner_id)
    assert not await renewed(devices[0], issued_by=issued_by + 1)
    assert not await renewed(devices[0], issued_by=None)
    assert not await renewed(devices[0], only_owner_id=999)
    assert not await renewed(devices[0], id="0" * 32)
    await api.ask("{ me { id } }", devices[1]["token"])
    assert not await renewed(devices[1])
    changes = (
        "devices SET state = 'rejected' WHERE id",
        "devices SET awaits_approval = true WHERE id",
        "devices SET reenrolment_refused = true WHERE id",
        "tokens SET revoked_at = now() WHERE device_id",
        "tokens SET waiting = true WHERE device_id",
    )
    for device, change in zip(devices[2:7], changes, strict=True):
        await rows_changed(database, f"UPDATE {change} = '{device['device']['id']}'")
        assert not await renewed(device), change
    await rows_changed(
        database,
        "INSERT INTO tokens (kind, hash, device_id, created_at, created_by) "
        f"VALUES ('device', 'second', '{devices[7]['device']['id']}', now(), 'x')",
    )
    assert not await renewed(devices[7])
    assert len(await events_of(database, "token_renewed")) == 1


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
    async with database.begin() as session:
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
