"""Who hears whom: links, what a device is told of them, and who may see what."""

from typing import Any

import pytest
import pytest_asyncio

from tests.support.client import Api

LINK = "link { id filter place measurementType deviceId }"
SENSOR, OTHER, RELAY = "24:6f:28:00:00:01", "24:6f:28:00:00:02", "24:6f:28:00:00:03"


async def made(api: Api, mac: str, place: str = "Paris", type: str = "temperature") -> str:
    found = await api.register(
        api.admin, mac=mac, location={"place": place}, measurementType=type, owner="Acme"
    )
    return str(found["device"]["id"])


@pytest_asyncio.fixture
async def relay(api: Api) -> str:
    return await made(api, RELAY, type="relay")


async def link(api: Api, listener: str, **wanted: Any) -> Any:
    payload = await api.change("linkDevice", fields=LINK, listenerId=listener, **wanted)
    assert payload["errors"] == []
    return payload["link"]


async def refused(api: Api, listener: str, **wanted: Any) -> tuple[str, str]:
    payload = await api.change("linkDevice", fields=LINK, listenerId=listener, **wanted)
    assert payload["link"] is None
    [error] = payload["errors"]
    return error["code"], error["field"]


async def told(api: Api, id: str) -> tuple[list[str], int]:
    """What a device listens to, and the version of its config."""
    query = "query ($id: ID!) { device(id: $id) { topics { listen } config { version } } }"
    device = (await api.ask(query, id=id))["device"]
    return device["topics"]["listen"], device["config"]["version"]


@pytest.mark.parametrize(
    ("wanted", "filter"),
    [
        ({}, "acme/+/+/+"),
        ({"owner": "ACME"}, "acme/+/+/+"),
        ({"place": "Paris"}, "acme/paris/+/+"),
        ({"measurementType": "Temperature"}, "acme/+/temperature/+"),
        ({"place": "Roma", "measurementType": "humidity"}, "acme/roma/humidity/+"),
    ],
)
async def test_a_selector_is_a_filter(
    api: Api, relay: str, wanted: dict[str, str], filter: str
) -> None:
    assert (await link(api, relay, **wanted))["filter"] == filter
    assert await told(api, relay) == ([filter], 2)


async def test_one_device_is_its_base_topic(api: Api, relay: str) -> None:
    sensor = await made(api, SENSOR)
    topic = f"acme/paris/temperature/{sensor}"
    assert (await link(api, relay, deviceId=sensor.upper()))["filter"] == topic
    assert await told(api, relay) == ([topic], 2)


async def test_the_shortest_set_is_told(api: Api, relay: str) -> None:
    """A link that adds nothing, and the removal of one that another covers, change no config."""
    narrow = await link(api, relay, place="Paris", measurementType="temperature")
    wide = await link(api, relay, place="Paris")
    assert await told(api, relay) == (["acme/paris/+/+"], 3)
    same = await link(api, relay, place="paris ")
    assert same["id"] == wide["id"]
    await api.change("unlinkDevice", id=narrow["id"])
    assert await told(api, relay) == (["acme/paris/+/+"], 3)
    await api.change("unlinkDevice", id=wide["id"])
    assert await told(api, relay) == ([], 4)
    gone = await api.change("unlinkDevice", id=wide["id"])
    assert [(e["code"], e["field"]) for e in gone["errors"]] == [("NOT_FOUND", "id")]


async def test_registration_tells_it(api: Api, relay: str) -> None:
    await link(api, relay, place="Paris")
    found = await api.register(
        api.admin, mac=RELAY, location={"place": "Paris"}, measurementType="relay"
    )
    assert found["device"]["topics"]["listen"] == ["acme/paris/+/+"]


async def test_a_sensor_that_comes_later_is_heard(api: Api, relay: str) -> None:
    await link(api, relay, place="Paris", measurementType="temperature")
    query = """query ($id: ID!) { device(id: $id) {
      links { filter } sources { totalCount nodes { id } } listeners { nodes { id } } } }"""
    assert (await api.ask(query, id=relay))["device"]["sources"]["nodes"] == []
    version = (await told(api, relay))[1]
    sensor = await made(api, SENSOR)
    await made(api, OTHER, place="Rome")
    device = (await api.ask(query, id=relay))["device"]
    assert device["sources"] == {"totalCount": 1, "nodes": [{"id": sensor}]}
    assert device["links"] == [{"filter": "acme/paris/temperature/+"}]
    heard = (await api.ask(query, id=sensor))["device"]
    assert heard["listeners"]["nodes"] == [{"id": relay}]
    assert (await told(api, relay))[1] == version


async def test_a_source_that_moves_is_followed(api: Api, relay: str) -> None:
    sensor = await made(api, SENSOR)
    await link(api, relay, deviceId=sensor)
    await api.change("updateDevice", id=sensor, location={"place": "Rome"})
    assert await told(api, relay) == ([f"acme/rome/temperature/{sensor}"], 3)
    await api.change("deleteDevice", id=sensor)
    assert await told(api, relay) == ([], 4)


async def test_links_end_where_the_owner_does(api: Api, relay: str) -> None:
    sensor = await made(api, SENSOR)
    await link(api, relay, deviceId=sensor)
    await link(api, sensor, place="Paris")
    await api.change("updateDevice", id=sensor, owner="Globex")
    assert (await told(api, relay))[0] == []
    assert (await told(api, sensor))[0] == []
    assert await refused(api, relay, deviceId=sensor) == ("NOT_FOUND", "deviceId")
    assert await refused(api, relay, owner="Globex") == ("NOT_ALLOWED", "owner")


async def test_what_is_no_selector(api: Api, relay: str) -> None:
    sensor = await made(api, SENSOR)
    assert await refused(api, "0" * 32) == ("NOT_FOUND", "listenerId")
    assert await refused(api, relay, deviceId=sensor, place="Paris") == ("INVALID", None)
    assert await refused(api, relay, deviceId=relay) == ("INVALID", "deviceId")
    assert await refused(api, relay, place=" ") == ("INVALID", "place")


async def test_a_device_is_told_no_more_than_it_can_hold(api: Api, relay: str) -> None:
    places = ["x" * 30 + f"{n:02d}" for n in range(40)]
    codes = []
    for place in places:
        payload = await api.change("linkDevice", fields=LINK, listenerId=relay, place=place)
        codes += [error["code"] for error in payload["errors"]]
        if codes:
            break
    assert codes == ["CONFLICT"]
    listen, version = await told(api, relay)
    assert sum(map(len, listen)) <= 1_500
    assert version == len(listen) + 1


async def test_what_is_covered_now_counts_too(api: Api, relay: str) -> None:
    """It would have to be told once the wider link is gone."""
    wide = await link(api, relay)
    codes: list[str] = []
    for number in range(20):
        sensor = await made(api, f"24:6f:28:00:01:{number:02x}")
        payload = await api.change("linkDevice", fields=LINK, listenerId=relay, deviceId=sensor)
        codes += [error["code"] for error in payload["errors"]]
        if codes:
            break
    assert codes == ["CONFLICT"]
    await api.change("unlinkDevice", id=wide["id"])
    listen, _ = await told(api, relay)
    assert 5 < len(listen) < 12


async def test_other_owners_see_and_change_nothing(api: Api, relay: str) -> None:
    wide = await link(api, relay)
    foreign = await api.key(kind="ADMIN", owner="Globex")
    payload = await api.change("unlinkDevice", foreign, id=wide["id"])
    assert payload["errors"][0]["code"] == "NOT_FOUND"
    payload = await api.change("linkDevice", foreign, listenerId=relay)
    assert payload["errors"][0]["field"] == "listenerId"


async def test_the_fleet_is_counted(api: Api, relay: str) -> None:
    assert relay
    await made(api, SENSOR)
    await api.register(api.admin, mac=OTHER, owner="Globex")
    query = """{ fleet { total active pending rejected online inSync outOfSync
      byOwner { owner total online inSync pending } } }"""
    fleet = (await api.ask(query))["fleet"]
    counts = {key: fleet[key] for key in ("total", "active", "pending", "rejected", "online")}
    assert counts == {"total": 3, "active": 3, "pending": 0, "rejected": 0, "online": 0}
    assert (fleet["inSync"], fleet["outOfSync"]) == (0, 3)
    assert [(o["owner"], o["total"]) for o in fleet["byOwner"]] == [("Acme", 2), ("Globex", 1)]
    own = await api.key(kind="VIEWER", owner="Globex")
    fleet = (await api.ask(query, own))["fleet"]
    assert (fleet["total"], [o["owner"] for o in fleet["byOwner"]]) == (1, ["Globex"])
