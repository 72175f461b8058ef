"""What a device meets when it registers, at first and ever after."""

import asyncio

import pytest

from db.postgres.database import Database
from server.settings import Settings
from tests.conftest import ADMIN, changed, served
from tests.support.client import BENCH, REGISTER, Api
from tests.support.events import events_of


async def test_a_new_device_gets_identity_topics_config_and_token(api: Api) -> None:
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


async def test_the_same_mac_in_another_notation_changes_nothing(api: Api) -> None:
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


async def test_only_the_hardware_itself_is_updated_by_a_known_device(
    api: Api, database: Database
) -> None:
    token = (await api.register(await api.key()))["token"]
    again = await api.register(token, sensorModel="BME680", firmware="2.0.0")
    assert (again["device"]["sensorModel"], again["device"]["firmware"]) == ("BME680", "2.0.0")
    [event] = await events_of(database, "device_updated")
    assert event.before == {"sensorModel": "BME280", "firmware": "1.0.0"}
    assert event.after == {"sensorModel": "BME680", "firmware": "2.0.0"}
    assert event.actor == f"device:{again['device']['id']}"


async def test_a_lost_answer_can_be_asked_for_again_with_the_same_key(api: Api) -> None:
    key = await api.key()
    lost = (await api.register(key))["token"]
    answer = await api.register(key)
    assert answer["outcome"] == "RENEWED"
    assert (await api.post(REGISTER, lost, input=BENCH)).status_code == 401
    assert (await api.register(answer["token"]))["outcome"] == "KNOWN"


async def test_another_key_does_not_get_an_unused_token(api: Api) -> None:
    first = await api.register(await api.key())
    stranger = await api.register(await api.key())
    assert stranger["outcome"] == "PENDING"
    assert stranger["device"] is None
    assert (await api.register(first["token"]))["outcome"] == "KNOWN"


async def test_a_used_token_is_not_replaced_by_whoever_knows_the_mac(api: Api) -> None:
    key = await api.key()
    first = await api.register(key)
    own = first["token"]
    await api.register(own)

    stranger = await api.register(key)
    assert stranger["outcome"] == "PENDING"
    assert stranger["retryAfterSeconds"] > 0
    assert stranger["device"] is None

    waiting = stranger["token"]
    assert await api.code("{ me { id } }", waiting) == "FORBIDDEN"
    assert (await api.register(waiting))["outcome"] == "PENDING"
    assert (await api.register(own))["outcome"] == "KNOWN"

    listed = await api.ask("{ devices(filter: {awaitsApproval: true}) { nodes { id state } } }")
    assert listed["devices"]["nodes"] == [{"id": first["device"]["id"], "state": "ACTIVE"}]


async def test_an_approved_token_replaces_the_old_one_at_its_first_use(api: Api) -> None:
    key = await api.key()
    first = await api.register(key)
    own = first["token"]
    await api.register(own)
    waiting = (await api.register(key))["token"]
    payload = await api.change(
        "approveDevice", fields="device { awaitsApproval }", id=first["device"]["id"]
    )
    assert payload["device"] == {"awaitsApproval": False}
    assert (await api.register(own))["outcome"] == "KNOWN"
    assert (await api.register(waiting))["outcome"] == "KNOWN"
    assert (await api.post("{ me { id } }", own)).status_code == 401


async def test_a_rejected_reenrolment_leaves_the_old_token_alone(api: Api) -> None:
    key = await api.key()
    first = await api.register(key)
    own, id = first["token"], first["device"]["id"]
    await api.register(own)
    waiting = (await api.register(key))["token"]
    assert (await api.change("rejectDevice", id=id))["errors"] == []
    assert (await api.post("{ me { id } }", waiting)).status_code == 401
    assert (await api.register(key))["outcome"] == "REJECTED"
    assert (await api.register(own))["outcome"] == "KNOWN"
    assert (await api.change("approveDevice", id=id))["errors"] == []
    assert (await api.register(key))["outcome"] == "PENDING"


async def test_policy_approve_lets_nobody_in_by_itself(settings: Settings) -> None:
    async with served(changed(settings, enrolment="approve")) as api:
        key = await api.key()
        first = await api.register(key)
        assert (first["outcome"], first["device"]) == ("PENDING", None)
        again = await api.register(key)
        assert (await api.post(REGISTER, first["token"], input=BENCH)).status_code == 401
        waiting = again["token"]
        [device] = (
            await api.ask("{ devices(filter: {state: PENDING}) { nodes { id awaitsApproval } } }")
        )["devices"]["nodes"]
        assert device["awaitsApproval"]
        for field in ("me", f'device(id: "{device["id"]}")', f'config(deviceId: "{device["id"]}")'):
            selection = "version" if field.startswith("config") else "id"
            assert await api.code(f"{{ {field} {{ {selection} }} }}", waiting) == "FORBIDDEN"
        await api.change("approveDevice", id=device["id"])
        answer = await api.register(waiting)
        assert answer["outcome"] == "KNOWN"
        assert answer["device"]["state"] == "ACTIVE"


async def test_a_rejected_device_stays_out_until_it_is_approved(settings: Settings) -> None:
    async with served(changed(settings, enrolment="approve")) as api:
        key = await api.key()
        waiting = (await api.register(key))["token"]
        [device] = (await api.ask("{ devices { nodes { id } } }"))["devices"]["nodes"]
        payload = await api.change("rejectDevice", fields="device { state }", id=device["id"])
        assert payload["device"]["state"] == "REJECTED"
        assert (await api.post(REGISTER, waiting, input=BENCH)).status_code == 401
        assert (await api.register(key))["outcome"] == "REJECTED"
        await api.change("approveDevice", id=device["id"])
        assert (await api.register(key))["outcome"] == "RENEWED"


async def test_policy_open_needs_no_key(settings: Settings) -> None:
    async with served(changed(settings, enrolment="open")) as api:
        response = await api.post(REGISTER, None, input=BENCH)
        answer = response.json()["data"]["registerDevice"]
        assert answer["outcome"] == "CREATED"
        assert (await api.register(answer["token"]))["outcome"] == "KNOWN"
        stranger = (await api.post(REGISTER, None, input=BENCH)).json()["data"]["registerDevice"]
        assert stranger["outcome"] == "PENDING"
        assert await api.code("{ devices { totalCount } }", None) == "UNAUTHENTICATED"


async def test_reenrolment_can_be_allowed_by_setting(settings: Settings) -> None:
    async with served(changed(settings, reenrolment="allow")) as api:
        key = await api.key()
        own = (await api.register(key))["token"]
        await api.register(own)
        answer = await api.register(key)
        assert answer["outcome"] == "RENEWED"
        assert (await api.register(own))["outcome"] == "KNOWN"
        await api.register(answer["token"])
        assert (await api.post("{ me { id } }", own)).status_code == 401


async def test_an_administrator_can_prepare_a_device(api: Api) -> None:
    assert (await api.register(ADMIN))["outcome"] == "CREATED"
    answer = await api.register(await api.key())
    assert answer["outcome"] == "RENEWED"
    assert (await api.register(answer["token"]))["outcome"] == "KNOWN"


async def test_a_key_is_good_for_so_many_devices(api: Api) -> None:
    key = await api.key(maxUses=1)
    await api.register(key)
    assert (await api.register(key))["outcome"] == "RENEWED"
    refused = await api.register(key, mac="24:6f:28:aa:bb:cd")
    assert refused["errors"][0]["code"] == "USED_UP"
    assert refused["device"] is None
    assert (await api.ask("{ devices { totalCount } }"))["devices"]["totalCount"] == 1


async def test_an_owners_key_registers_for_that_owner_only(api: Api) -> None:
    key = await api.key(owner="Acme")
    answer = await api.register(key, owner=None)
    assert answer["device"]["owner"] == "Acme"
    other = await api.register(key, mac="24:6f:28:aa:bb:cd", owner="Globex")
    assert [(e["code"], e["field"]) for e in other["errors"]] == [("NOT_ALLOWED", "owner")]
    foreign = await api.register(await api.key(owner="Globex"), owner="Globex")
    assert [(e["code"], e["field"]) for e in foreign["errors"]] == [("NOT_ALLOWED", "mac")]


async def test_a_device_registers_itself_only(api: Api) -> None:
    token = (await api.register(await api.key()))["token"]
    answer = await api.register(token, mac="24:6f:28:aa:bb:cd")
    assert [(e["code"], e["field"]) for e in answer["errors"]] == [("NOT_ALLOWED", "mac")]


async def test_every_mistake_is_named_at_once(api: Api) -> None:
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


async def test_one_coordinate_alone_is_a_mistake(api: Api) -> None:
    answer = await api.register(await api.key(), location={"place": "Paris", "latitude": 1})
    [error] = answer["errors"]
    assert error["field"] == "location"


async def test_names_that_look_alike_get_levels_of_their_own(api: Api) -> None:
    key = await api.key()
    macs = iter(f"24:6f:28:00:00:{number:02x}" for number in range(16))
    owners = ["Москва", "Moskva", "moskva!", "MOSKVA ", "🚀", "✨"]
    levels = []
    for owner in owners:
        answer = await api.register(key, mac=next(macs), owner=owner)
        levels.append(answer["device"]["topics"]["data"].split("/")[0])
    assert levels == ["moskva", "moskva-2", "moskva-3", "moskva-2", "owner", "owner-2"]


async def test_many_devices_of_new_owners_at_once(api: Api) -> None:
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


async def test_one_device_many_times_at_once(api: Api, database: Database) -> None:
    key = await api.key()
    answers = await asyncio.gather(*(api.register(key) for _ in range(20)))
    assert sorted(answer["outcome"] for answer in answers) == ["CREATED"] + ["RENEWED"] * 19
    assert len(await events_of(database, "device_registered")) == 1


async def test_a_deleted_device_comes_back_with_a_higher_version(api: Api) -> None:
    key = await api.key()
    first = await api.register(key)
    id = first["device"]["id"]
    await api.change("updateConfig", deviceId=id, qos=2)
    await api.change("deleteDevice", id=id)
    assert (await api.post("{ me { id } }", first["token"])).status_code == 401
    again = await api.register(key)
    assert again["outcome"] == "CREATED"
    assert again["device"]["config"]["version"] == 3


async def test_the_broker_is_handed_out(settings: Settings) -> None:
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
async def test_an_applied_version_may_come_with_the_registration(api: Api, version: int) -> None:
    token = (await api.register(await api.key()))["token"]
    answer = await api.register(token, appliedVersion=version)
    assert answer["device"]["inSync"] is (version == 1)
