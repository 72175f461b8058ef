"""New hardware takes over the place of a device that is broken."""

from typing import Any

import pytest

from db.postgres.database import Database
from server.settings import Settings
from tests.conftest import changed, served
from tests.devices.test_links import OTHER, RELAY, SENSOR, link, made, told
from tests.support.client import Api
from tests.support.events import events_of

LOOK = """query ($id: ID!) { device(id: $id) {
  owner location { place latitude longitude } measurementType sensorModel
  config { version intervalSeconds qos } topics { data listen } } }"""


async def replaced(api: Api, id: str, by_id: str, token: str | None = None) -> Any:
    return await api.change("replaceDevice", token, fields="device { id }", id=id, byId=by_id)


async def look(api: Api, id: str) -> Any:
    return (await api.ask(LOOK, id=id))["device"]


async def test_it_takes_over_place_config_and_links(api: Api, database: Database) -> None:
    old, other = await made(api, SENSOR), await made(api, OTHER, place="Rome")
    relay = await made(api, RELAY, type="relay")
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
    payload = await replaced(api, old, new)
    assert payload == {"device": {"id": new}, "errors": []}
    assert await look(api, old) is None
    device = await look(api, new)
    assert device["owner"] == "Acme"
    assert device["location"] == {"place": "Paris", "latitude": None, "longitude": None}
    assert (device["measurementType"], device["sensorModel"]) == ("temperature", "BME680")
    assert device["config"] == {"version": 2, "intervalSeconds": 7, "qos": 2}
    assert device["topics"]["data"] == f"acme/paris/temperature/{new}"
    assert device["topics"]["listen"] == ["acme/rome/+/+"]
    assert (await told(api, relay))[0] == [f"acme/paris/temperature/{new}"]
    assert await look(api, other) is not None
    [event] = await events_of(database, "device_replaced")
    assert (event.device_id, event.before["id"], event.after["place"]) == (new, old, "Paris")
    [gone] = await events_of(database, "device_deleted")
    assert (gone.device_id, gone.after) == (old, {"replacedBy": new})


async def test_what_the_new_device_heard_is_gone(api: Api) -> None:
    """Also where the two had heard each other."""
    old, new = await made(api, SENSOR), await made(api, OTHER)
    relay = await made(api, RELAY, type="relay")
    for listener, source in ((new, old), (old, new), (relay, new), (relay, old)):
        await link(api, listener, deviceId=source)
    assert (await replaced(api, old, new))["errors"] == []
    assert (await told(api, new))[0] == []
    assert (await told(api, relay))[0] == [f"acme/paris/temperature/{new}"]


async def test_a_token_goes_with_its_device(api: Api) -> None:
    old = await api.register(await api.key())
    new = await made(api, OTHER)
    await replaced(api, old["device"]["id"], new)
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
async def test_what_can_not_be_replaced(
    api: Api, old: str, new: str, code: str, field: str
) -> None:
    id = await made(api, SENSOR)
    payload = await replaced(api, old.format(old=id), new.format(old=id))
    assert [(e["code"], e["field"]) for e in payload["errors"]] == [(code, field)]
    assert await look(api, id) is not None


async def test_a_device_that_waits_replaces_nothing(settings: Settings) -> None:
    async with served(changed(settings, enrolment="approve")) as api:
        old = await made(api, SENSOR)
        await api.register(await api.key(), mac=OTHER)
        nodes = (await api.ask("{ devices { nodes { id state } } }"))["devices"]["nodes"]
        [new] = [node["id"] for node in nodes if node["state"] == "PENDING"]
        payload = await replaced(api, old, new)
        assert [(e["code"], e["field"]) for e in payload["errors"]] == [("CONFLICT", "byId")]


async def test_an_owners_administrator_replaces_only_its_own(api: Api) -> None:
    mine = await made(api, SENSOR)
    foreign = (await api.register(api.admin, mac=OTHER, owner="Globex"))["device"]["id"]
    token = await api.key(kind="ADMIN", owner="Acme")
    for old, new in ((mine, foreign), (foreign, mine)):
        payload = await replaced(api, old, new, token)
        assert [e["code"] for e in payload["errors"]] == ["NOT_FOUND"]
