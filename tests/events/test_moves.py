"""A move to another owner: each owner sees its part, and nothing of the other's."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from server.settings import Settings
from tests.alerts.alert_server import execute
from tests.conftest import changed
from tests.events.live.serving import Instance, Socket, instance
from tests.support.client import Api

LIST = """query ($filter: EventFilter) { events(filter: $filter) {
  nodes { kind actor deviceId device { id owner topics { data } } owner before after } } }"""
SUBSCRIBE = """subscription ($after: ID) { eventAdded(after: $after) {
  kind actor deviceId device { id owner topics { data } } owner before after } }"""
CHANGES = """subscription ($after: ID) { configChanged(after: $after) {
  device { owner topics { data listen } } config { updatedBy } previous { updatedBy } } }"""
HISTORY = """query ($id: ID!) { device(id: $id) {
  appliedConfig { updatedBy } configHistory { version updatedBy } links { filter } } }"""
OF_ACME = ("acme", "paris", "temperature", "48.85")
OF_GLOBEX = ("globex", "oslo", "humidity", "59.9")
OSLO = {"place": "Oslo", "latitude": 59.9, "longitude": 10.7}


@pytest_asyncio.fixture
async def one(settings: Settings) -> AsyncIterator[Instance]:
    async with instance(changed(settings)) as one:
        yield one


async def linked(api: Api, **values: Any) -> tuple[str, str]:
    """Register a device that listens to others; return its id and token."""
    key = await api.key()
    found = await api.register(key, **values)
    id = str(found["device"]["id"])
    place = values.get("location", {}).get("place", "Paris")
    await api.change("linkDevice", listenerId=id, place=place)
    await api.change("acknowledgeConfig", found["token"], version=2)
    return id, found["token"]


async def moved(api: Api, id: str, token: str) -> None:
    """Move the device from Acme to Globex. It reports on its new topic."""
    change = {"location": OSLO, "measurementType": "humidity"}
    payload = await api.change("updateDevice", id=id, owner="Globex", **change)
    assert payload["errors"] == []
    await api.change("acknowledgeConfig", token, version=3)


async def replaced(api: Api) -> str:
    """Replace a device of Globex by one of Acme. Return the id of the latter."""
    globex = {"owner": "Globex", "location": OSLO, "measurementType": "humidity"}
    old, _ = await linked(api, mac="24:6f:28:00:00:01", **globex)
    new, token = await linked(api)
    payload = await api.change("replaceDevice", id=old, byId=new)
    assert payload["errors"] == []
    await api.change("acknowledgeConfig", token, version=3)
    return new


def check(events: Any, names: tuple[str, ...]) -> None:
    """Fail if the events contain one of the names of the other owner."""
    text = json.dumps(events).lower()
    assert not [name for name in names if name in text], text


async def listed(api: Api, token: str, **filter: Any) -> Any:
    return (await api.ask(LIST, token, filter=filter))["events"]["nodes"]


@pytest.mark.parametrize("kind", ["ADMIN", "VIEWER"])
async def test_each_owner_sees_its_part_of_a_move(api: Api, kind: str) -> None:
    id, token = await linked(api)
    await moved(api, id, token)
    acme, globex = [await api.key(kind=kind, owner=owner) for owner in ("Acme", "Globex")]
    left = await listed(api, acme, deviceId=id)
    check(left, OF_GLOBEX)
    assert [e["kind"] for e in left[:2]] == ["DEVICE_LEFT", "DEVICE_UNLINKED"]
    assert left[0]["before"] == {
        "owner": "Acme",
        "place": "Paris",
        "measurementType": "temperature",
        "topic": f"acme/paris/temperature/{id}",
    }
    assert (left[0]["after"], left[0]["device"], left[0]["deviceId"]) == (None, None, id)
    arrived = await listed(api, globex, deviceId=id)
    check(arrived, OF_ACME)
    kinds = [e["kind"] for e in arrived]
    assert kinds == ["DEVICE_MOVED", "CONFIG_APPLIED", "DEVICE_UPDATED", "CONFIG_CHANGED"]
    assert arrived[2]["before"] == {}
    assert arrived[2]["after"]["owner"] == "Globex"
    assert arrived[0]["before"] == {"topics": []}


async def test_administrator_of_all_owners_sees_both_sides_of_a_move(api: Api) -> None:
    id, token = await linked(api)
    await moved(api, id, token)
    text = json.dumps(await listed(api, api.admin, kinds=["DEVICE_UPDATED"]))
    assert "acme/paris/temperature" in text
    assert "globex/oslo/humidity" in text
    text = json.dumps(await listed(api, api.admin, kinds=["DEVICE_MOVED"]))
    assert f'["acme/paris/temperature/{id}"]' in text


@pytest.mark.parametrize("kind", ["ADMIN", "VIEWER"])
async def test_each_owner_sees_its_part_of_a_replacement(api: Api, kind: str) -> None:
    id = await replaced(api)
    acme, globex = [await api.key(kind=kind, owner=owner) for owner in ("Acme", "Globex")]
    left = await listed(api, acme)
    check(left, OF_GLOBEX)
    assert "DEVICE_LEFT" in [e["kind"] for e in left]
    arrived = await listed(api, globex)
    check(arrived, OF_ACME)
    [event] = [e for e in arrived if e["kind"] == "DEVICE_REPLACED"]
    assert (event["deviceId"], event["after"]["owner"]) == (id, "Globex")
    assert "acme/paris" in json.dumps(await listed(api, api.admin, kinds=["DEVICE_REPLACED"]))


@pytest.mark.parametrize("kind", ["ADMIN", "VIEWER"])
async def test_subscribers_of_each_owner_get_their_part(one: Instance, kind: str) -> None:
    api = one.api
    await api.register(api.admin, mac="24:6f:28:00:00:02", owner="Globex", location=OSLO)
    id, token = await linked(api)
    keys = [await api.key(kind=kind, owner=owner) for owner in ("Acme", "Globex")]
    start = (await api.ask("{ latestCursor }"))["latestCursor"]
    names = {"Acme": OF_GLOBEX, "Globex": OF_ACME}
    kinds = {
        "Acme": ["DEVICE_UNLINKED", "DEVICE_LEFT"],
        "Globex": ["CONFIG_CHANGED", "DEVICE_UPDATED", "CONFIG_APPLIED", "DEVICE_MOVED"],
    }
    live = [await Socket.open(one.url, key) for key in keys]
    for socket in live:
        await socket.subscribe(query=SUBSCRIBE, after=start)
    await moved(api, id, token)
    resumed = [await Socket.open(one.url, key) for key in keys]
    for socket in resumed:
        await socket.subscribe(query=SUBSCRIBE, after=start)
    for sockets in (live, resumed):
        for socket, owner in zip(sockets, ("Acme", "Globex"), strict=True):
            async with socket:
                found = [(await next_of(socket))["eventAdded"] for _ in kinds[owner]]
            assert [event["kind"] for event in found] == kinds[owner]
            check(found, names[owner])


async def test_config_subscription_does_not_reveal_the_former_owner(one: Instance) -> None:
    api = one.api
    id, token = await linked(api)
    database = api.app.state.database_supervisor.services.database
    await execute(database, "UPDATE devices SET config_updated_by = 'telegram:4242'")
    start = (await api.ask("{ latestCursor }"))["latestCursor"]
    await moved(api, id, token)
    key = await api.key(kind="ADMIN", owner="Globex")
    async with await Socket.open(one.url, key) as socket:
        await socket.subscribe(query=CHANGES, after=start)
        change = (await next_of(socket))["configChanged"]
    check(change, OF_ACME)
    assert change["config"]["updatedBy"] == "admin:1"
    assert change["previous"]["updatedBy"] == "telegram"


async def next_of(socket: Socket) -> Any:
    message = await socket.message()
    assert message["type"] == "next", message
    assert "errors" not in message["payload"], message
    return message["payload"]["data"]


async def test_config_history_does_not_reveal_people_of_the_former_owner(api: Api) -> None:
    id, _ = await linked(api)
    database = api.app.state.database_supervisor.services.database
    await execute(database, "UPDATE devices SET config_updated_by = 'telegram:4242'")
    await execute(database, "UPDATE past_configs SET updated_by = 'telegram:4242'")
    change = {"location": OSLO, "measurementType": "humidity"}
    await api.change("updateDevice", id=id, owner="Globex", **change)
    globex = await api.key(kind="ADMIN", owner="Globex")
    found = (await api.ask(HISTORY, globex, id=id))["device"]
    check(found, (*OF_ACME, "4242"))
    actors = [config["updatedBy"] for config in found["configHistory"]]
    assert actors == ["admin:1", "telegram", "telegram"]
    assert "4242" in json.dumps(await api.ask(HISTORY, api.admin, id=id))
    assert (await api.ask(HISTORY, await api.key(kind="ADMIN", owner="Acme"), id=id)) == {
        "device": None
    }
