"""replaceDevice: new hardware takes over owner, place, config and links of a broken device."""

from typing import Any

import pytest

from db.postgres.database import Database
from server.settings import Settings
from tests.conftest import changed, served
from tests.devices.test_links import OTHER, RELAY, SENSOR, link, listen_and_version, register_device
from tests.support.client import Api
from tests.support.events import events_of

DEVICE = """query ($id: ID!) { device(id: $id) {
  owner location { place latitude longitude } measurementType sensorModel
  config { version intervalSeconds qos } topics { data listen } } }"""


async def replace(api: Api, id: str, by_id: str, token: str | None = None) -> Any:
    return await api.change("replaceDevice", token, fields="device { id }", id=id, byId=by_id)


async def find_device(api: Api, id: str) -> Any:
    return (await api.ask(DEVICE, id=id))["device"]


async def test_replacement_takes_over_place_config_and_links(api: Api, database: Database) -> None:
    old, other = await register_device(api, SENSOR), await register_device(api, OTHER, place="Rome")
    relay = await register_device(api, RELAY, type="relay")
    await api.change("updateConfig", deviceId=old, intervalSeconds=7, qos=2)
    await link(api, relay, deviceId=old)
    await link(api, old, place="Rome")
    found = await api.register(
        api.admin,
        mac="24:6f:28:00:00:09",
        owner="Globex",
        location={"place": "Bench", "latitude": 1, "longitude": 2},
        measurementType="test",
        sensorModel="BME680",
    )
    new = found["device"]["id"]
    payload = await replace(api, old, new)
    assert payload == {"device": {"id": new}, "errors": []}
    assert await find_device(api, old) is None
    device = await find_device(api, new)
    assert device["owner"] == "Acme"
    assert device["location"] == {"place": "Paris", "latitude": None, "longitude": None}
    assert (device["measurementType"], device["sensorModel"]) == ("temperature", "BME680")
    assert device["config"] == {"version": 2, "intervalSeconds": 7, "qos": 2}
    assert device["topics"]["data"] == f"acme/paris/temperature/{new}"
    assert device["topics"]["listen"] == ["acme/rome/+/+"]
    assert (await listen_and_version(api, relay))[0] == [f"acme/paris/temperature/{new}"]
    assert await find_device(api, other) is not None
    [event] = await events_of(database, "device_replaced")
    assert (event.device_id, event.before["id"], event.after["place"]) == (new, old, "Paris")
    [deletion] = await events_of(database, "device_deleted")
    assert (deletion.device_id, deletion.after) == (old, {"replacedBy": new})


async def test_links_of_replacement_are_deleted(api: Api) -> None:
    """Links between the two devices are deleted, too."""
    old, new = await register_device(api, SENSOR), await register_device(api, OTHER)
    relay = await register_device(api, RELAY, type="relay")
    for listener, source in ((new, old), (old, new), (relay, new), (relay, old)):
        await link(api, listener, deviceId=source)
    assert (await replace(api, old, new))["errors"] == []
    assert (await listen_and_version(api, new))[0] == []
    assert (await listen_and_version(api, relay))[0] == [f"acme/paris/temperature/{new}"]


async def test_token_of_replaced_device_is_deleted(api: Api) -> None:
    old = await api.register(await api.key())
    new = await register_device(api, OTHER)
    await replace(api, old["device"]["id"], new)
    assert (await api.post("{ me { id } }", old["token"])).status_code == 401


@pytest.mark.parametrize(
    ("old", "new", "code", "field"),
    [
        ("{old}", "{old}", "INVALID", "byId"),
        ("{old}", "0" * 32, "NOT_FOUND", "byId"),
        ("0" * 32, "{old}", "NOT_FOUND", "id"),
        ("nonsense", "{old}", "NOT_FOUND", "id"),
    ],
)
async def test_invalid_replacements_are_rejected(
    api: Api, old: str, new: str, code: str, field: str
) -> None:
    id = await register_device(api, SENSOR)
    payload = await replace(api, old.format(old=id), new.format(old=id))
    assert [(e["code"], e["field"]) for e in payload["errors"]] == [(code, field)]
    assert await find_device(api, id) is not None


async def test_pending_device_can_not_replace(settings: Settings) -> None:
    async with served(changed(settings, enrolment="approve")) as api:
        old = await register_device(api, SENSOR)
        await api.register(await api.key(), mac=OTHER)
        nodes = (await api.ask("{ devices { nodes { id state } } }"))["devices"]["nodes"]
        [new] = [node["id"] for node in nodes if node["state"] == "PENDING"]
        payload = await replace(api, old, new)
        assert [(e["code"], e["field"]) for e in payload["errors"]] == [("CONFLICT", "byId")]


async def test_owner_admin_replaces_only_devices_of_its_owner(api: Api) -> None:
    own_id = await register_device(api, SENSOR)
    foreign_id = (await api.register(api.admin, mac=OTHER, owner="Globex"))["device"]["id"]
    token = await api.key(kind="ADMIN", owner="Acme")
    for old, new in ((own_id, foreign_id), (foreign_id, own_id)):
        payload = await replace(api, old, new, token)
        assert [e["code"] for e in payload["errors"]] == ["NOT_FOUND"]
