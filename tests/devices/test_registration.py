"""registerDevice: first and repeated registrations, keys, invalid fields and topics."""

import asyncio

import pytest

from db.postgres.database import Database
from server.settings import Settings
from tests.conftest import ADMIN, changed, served
from tests.support.client import Api
from tests.support.events import events_of


async def test_register_new_device_returns_id_topics_config_and_token(api: Api) -> None:
    answer = await api.register(await api.key())
    device = answer["device"]
    id = "ec42179b76a53de03a9ace42975a4fc6"
    assert answer["outcome"] == "CREATED"
    assert answer["token"].startswith("rcd_")
    assert answer["errors"] == []
    assert device["id"] == id
    base = f"acme/paris/temperature/{id}"
    assert device["topics"] == {
        "data": base,
        "config": f"{base}/config",
        "state": f"{base}/state",
        "status": f"{base}/status",
        "listen": [],
    }
    assert device["config"]["version"] == 1
    assert (device["config"]["intervalSeconds"], device["config"]["qos"]) == (60, 1)
    assert device["state"] == "ACTIVE"


async def test_register_known_device_in_other_mac_notation_changes_nothing(api: Api) -> None:
    first = await api.register(await api.key())
    token = first["token"]
    await api.change("updateConfig", deviceId=first["device"]["id"], intervalSeconds=10)
    again = await api.register(
        token, mac="246F.28AA.BBCC", location={"place": "Rome"}, owner="Other"
    )
    assert again["outcome"] == "KNOWN"
    assert again["token"] is None
    assert again["device"]["id"] == first["device"]["id"]
    assert again["device"]["topics"] == first["device"]["topics"]
    assert again["device"]["location"] == first["device"]["location"]
    assert again["device"]["config"]["version"] == 2
    assert again["device"]["config"]["intervalSeconds"] == 10


async def test_register_known_device_updates_only_hardware_fields(
    api: Api, database: Database
) -> None:
    token = (await api.register(await api.key()))["token"]
    again = await api.register(token, sensorModel="BME680", firmware="2.0.0")
    assert (again["device"]["sensorModel"], again["device"]["firmware"]) == ("BME680", "2.0.0")
    [event] = await events_of(database, "device_updated")
    assert event.before == {"sensorModel": "BME280", "firmware": "1.0.0"}
    assert event.after == {"sensorModel": "BME680", "firmware": "2.0.0"}
    assert event.actor == f"device:{again['device']['id']}"


async def test_admin_registers_device_in_advance(api: Api) -> None:
    """A key does not get the token that was issued to the administrator."""
    assert (await api.register(ADMIN))["outcome"] == "CREATED"
    answer = await api.register(await api.key())
    assert (answer["outcome"], answer["device"]) == ("PENDING", None)
    mine = await api.register(ADMIN)
    assert mine["outcome"] == "RENEWED"
    assert (await api.register(mine["token"]))["outcome"] == "KNOWN"


async def test_key_with_max_uses_registers_limited_number_of_devices(api: Api) -> None:
    key = await api.key(maxUses=1)
    await api.register(key)
    assert (await api.register(key))["outcome"] == "RENEWED"
    refused = await api.register(key, mac="24:6f:28:aa:bb:cd")
    assert refused["errors"][0]["code"] == "USED_UP"
    assert refused["device"] is None
    assert (await api.ask("{ devices { totalCount } }"))["devices"]["totalCount"] == 1


async def test_owner_key_registers_only_for_its_owner(api: Api) -> None:
    key = await api.key(owner="Acme")
    answer = await api.register(key, owner=None)
    assert answer["device"]["owner"] == "Acme"
    other = await api.register(key, mac="24:6f:28:aa:bb:cd", owner="Globex")
    assert [(e["code"], e["field"]) for e in other["errors"]] == [("NOT_ALLOWED", "owner")]
    admin = await api.key(kind="ADMIN", owner="Globex")
    foreign = await api.register(admin, owner="Globex")
    assert [(e["code"], e["field"]) for e in foreign["errors"]] == [("NOT_ALLOWED", "mac")]


async def test_device_token_registers_only_its_device(api: Api) -> None:
    token = (await api.register(await api.key()))["token"]
    answer = await api.register(token, mac="24:6f:28:aa:bb:cd")
    assert [(e["code"], e["field"]) for e in answer["errors"]] == [("NOT_ALLOWED", "mac")]


async def test_all_invalid_fields_are_reported_together(api: Api) -> None:
    answer = await api.register(
        await api.key(),
        mac="nonsense",
        location={"place": " ", "latitude": 91, "longitude": 2},
        measurementType="x" * 65,
        sensorModel="a\x00b",
    )
    assert {e["field"] for e in answer["errors"]} == {
        "mac",
        "location.place",
        "location.latitude",
        "measurementType",
        "sensorModel",
    }
    assert {e["code"] for e in answer["errors"]} == {"INVALID"}
    assert answer["outcome"] is None


async def test_single_coordinate_is_invalid(api: Api) -> None:
    answer = await api.register(await api.key(), location={"place": "Paris", "latitude": 1})
    [error] = answer["errors"]
    assert error["field"] == "location"


async def test_similar_owner_names_get_different_topic_levels(api: Api) -> None:
    key = await api.key()
    macs = iter(f"24:6f:28:00:00:{number:02x}" for number in range(16))
    owners = ["Москва", "Moskva", "moskva!", "MOSKVA ", "🚀", "✨"]
    levels = []
    for owner in owners:
        answer = await api.register(key, mac=next(macs), owner=owner)
        levels.append(answer["device"]["topics"]["data"].split("/")[0])
    assert levels == ["moskva", "moskva-2", "moskva-3", "moskva-2", "owner", "owner-2"]


async def test_concurrent_registrations_with_new_owners(api: Api) -> None:
    key = await api.key()
    answers = await asyncio.gather(
        *(
            api.register(
                key,
                mac=f"24:6f:28:00:{number // 256:02x}:{number % 256:02x}",
                owner=f"Owner {number % 5}",
                location={"place": f"Place {number % 7}"},
            )
            for number in range(100)
        )
    )
    assert {answer["outcome"] for answer in answers} == {"CREATED"}
    assert len({answer["device"]["topics"]["data"] for answer in answers}) == 100
    assert len({answer["device"]["topics"]["data"].split("/")[0] for answer in answers}) == 5


async def test_concurrent_registrations_of_one_device(api: Api, database: Database) -> None:
    key = await api.key()
    answers = await asyncio.gather(*(api.register(key) for _ in range(20)))
    assert sorted(answer["outcome"] for answer in answers) == ["CREATED"] + ["RENEWED"] * 19
    assert len(await events_of(database, "device_registered")) == 1


async def test_deleted_device_registers_with_higher_config_version(api: Api) -> None:
    key = await api.key()
    first = await api.register(key)
    id = first["device"]["id"]
    await api.change("updateConfig", deviceId=id, qos=2)
    await api.change("deleteDevice", id=id)
    assert (await api.post("{ me { id } }", first["token"])).status_code == 401
    again = await api.register(key)
    assert again["outcome"] == "CREATED"
    assert again["device"]["config"]["version"] == 3


async def test_registration_returns_broker(settings: Settings) -> None:
    with_broker = changed(settings, mqtt="on", mqtt_url="mqtts://broker.example:8884")
    async with served(with_broker) as api:
        answer = await api.register(await api.key())
        assert answer["broker"] == {
            "host": "broker.example",
            "port": 8884,
            "tls": True,
            "username": answer["device"]["id"],
        }


@pytest.mark.parametrize("version", [1, 2])
async def test_registration_accepts_applied_version(api: Api, version: int) -> None:
    token = (await api.register(await api.key()))["token"]
    answer = await api.register(token, appliedVersion=version)
    assert answer["device"]["inSync"] is (version == 1)
