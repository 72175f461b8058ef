"""Concurrent registrations, which are written in batches, and their rows in the database."""

import asyncio

import pytest
from sqlalchemy import text

from db.postgres.database import Database
from server.settings import Settings
from tests.alerts.alert_server import rows
from tests.conftest import ADMIN, changed, served
from tests.devices.registrations import mac
from tests.support.client import Api
from tests.support.events import events_of


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
