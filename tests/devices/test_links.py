"""Links: topic filters of listeners, sources, limits, and isolation between owners."""

from typing import Any

import pytest
import pytest_asyncio

from tests.support.client import Api

LINK = "link { id filter place measurementType deviceId }"
SENSOR, OTHER, RELAY = "24:6f:28:00:00:01", "24:6f:28:00:00:02", "24:6f:28:00:00:03"


async def register_device(
    api: Api, mac: str, place: str = "Paris", type: str = "temperature"
) -> str:
    found = await api.register(
        api.admin, mac=mac, location={"place": place}, measurementType=type, owner="Acme"
    )
    return str(found["device"]["id"])


@pytest_asyncio.fixture
async def relay(api: Api) -> str:
    return await register_device(api, RELAY, type="relay")


async def link(api: Api, listener: str, **selector: Any) -> Any:
    payload = await api.change("linkDevice", fields=LINK, listenerId=listener, **selector)
    assert payload["errors"] == []
    return payload["link"]


async def link_error(api: Api, listener: str, **selector: Any) -> tuple[str, str]:
    payload = await api.change("linkDevice", fields=LINK, listenerId=listener, **selector)
    assert payload["link"] is None
    [error] = payload["errors"]
    return error["code"], error["field"]


async def listen_and_version(api: Api, id: str) -> tuple[list[str], int]:
    """Return the topic filters of a device and its config version."""
    query = "query ($id: ID!) { device(id: $id) { topics { listen } config { version } } }"
    device = (await api.ask(query, id=id))["device"]
    return device["topics"]["listen"], device["config"]["version"]


@pytest.mark.parametrize(
    ("selector", "filter"),
    [
        ({}, "acme/+/+/+"),
        ({"owner": "ACME"}, "acme/+/+/+"),
        ({"place": "Paris"}, "acme/paris/+/+"),
        ({"measurementType": "Temperature"}, "acme/+/temperature/+"),
        ({"place": "Roma", "measurementType": "humidity"}, "acme/roma/humidity/+"),
    ],
)
async def test_link_selector_becomes_topic_filter(
    api: Api, relay: str, selector: dict[str, str], filter: str
) -> None:
    assert (await link(api, relay, **selector))["filter"] == filter
    assert await listen_and_version(api, relay) == ([filter], 2)


async def test_link_to_device_is_its_base_topic(api: Api, relay: str) -> None:
    sensor = await register_device(api, SENSOR)
    topic = f"acme/paris/temperature/{sensor}"
    assert (await link(api, relay, deviceId=sensor.upper()))["filter"] == topic
    assert await listen_and_version(api, relay) == ([topic], 2)


async def test_listen_has_shortest_set_of_filters(api: Api, relay: str) -> None:
    """A redundant link, and the removal of a covered link, do not change the config."""
    narrow = await link(api, relay, place="Paris", measurementType="temperature")
    wide = await link(api, relay, place="Paris")
    assert await listen_and_version(api, relay) == (["acme/paris/+/+"], 3)
    existing = await link(api, relay, place="paris ")
    assert existing["id"] == wide["id"]
    await api.change("unlinkDevice", id=narrow["id"])
    assert await listen_and_version(api, relay) == (["acme/paris/+/+"], 3)
    await api.change("unlinkDevice", id=wide["id"])
    assert await listen_and_version(api, relay) == ([], 4)
    repeated = await api.change("unlinkDevice", id=wide["id"])
    assert [(e["code"], e["field"]) for e in repeated["errors"]] == [("NOT_FOUND", "id")]


async def test_registration_returns_listen_filters(api: Api, relay: str) -> None:
    await link(api, relay, place="Paris")
    found = await api.register(
        api.admin, mac=RELAY, location={"place": "Paris"}, measurementType="relay"
    )
    assert found["device"]["topics"]["listen"] == ["acme/paris/+/+"]


async def test_later_device_becomes_source_of_link(api: Api, relay: str) -> None:
    await link(api, relay, place="Paris", measurementType="temperature")
    query = """query ($id: ID!) { device(id: $id) {
      links { filter } sources { totalCount nodes { id } } listeners { nodes { id } } } }"""
    assert (await api.ask(query, id=relay))["device"]["sources"]["nodes"] == []
    version = (await listen_and_version(api, relay))[1]
    sensor = await register_device(api, SENSOR)
    await register_device(api, OTHER, place="Rome")
    device = (await api.ask(query, id=relay))["device"]
    assert device["sources"] == {"totalCount": 1, "nodes": [{"id": sensor}]}
    assert device["links"] == [{"filter": "acme/paris/temperature/+"}]
    source = (await api.ask(query, id=sensor))["device"]
    assert source["listeners"]["nodes"] == [{"id": relay}]
    assert (await listen_and_version(api, relay))[1] == version


async def test_link_follows_moved_and_deleted_source(api: Api, relay: str) -> None:
    sensor = await register_device(api, SENSOR)
    await link(api, relay, deviceId=sensor)
    await api.change("updateDevice", id=sensor, location={"place": "Rome"})
    assert await listen_and_version(api, relay) == ([f"acme/rome/temperature/{sensor}"], 3)
    await api.change("deleteDevice", id=sensor)
    assert await listen_and_version(api, relay) == ([], 4)


async def test_links_end_when_owner_changes(api: Api, relay: str) -> None:
    sensor = await register_device(api, SENSOR)
    await link(api, relay, deviceId=sensor)
    await link(api, sensor, place="Paris")
    await api.change("updateDevice", id=sensor, owner="Globex")
    assert (await listen_and_version(api, relay))[0] == []
    assert (await listen_and_version(api, sensor))[0] == []
    assert await link_error(api, relay, deviceId=sensor) == ("NOT_FOUND", "deviceId")
    assert await link_error(api, relay, owner="Globex") == ("NOT_ALLOWED", "owner")


async def test_invalid_link_selectors_are_rejected(api: Api, relay: str) -> None:
    sensor = await register_device(api, SENSOR)
    assert await link_error(api, "0" * 32) == ("NOT_FOUND", "listenerId")
    assert await link_error(api, relay, deviceId=sensor, place="Paris") == ("INVALID", None)
    assert await link_error(api, relay, deviceId=relay) == ("INVALID", "deviceId")
    assert await link_error(api, relay, place=" ") == ("INVALID", "place")


async def test_links_above_size_limit_are_a_conflict(api: Api, relay: str) -> None:
    places = ["x" * 30 + f"{n:02d}" for n in range(40)]
    codes = []
    for place in places:
        payload = await api.change("linkDevice", fields=LINK, listenerId=relay, place=place)
        codes += [error["code"] for error in payload["errors"]]
        if codes:
            break
    assert codes == ["CONFLICT"]
    listen, version = await listen_and_version(api, relay)
    assert sum(map(len, listen)) <= 1_500
    assert version == len(listen) + 1


async def test_covered_links_count_for_size_limit(api: Api, relay: str) -> None:
    """The device must subscribe to them after the wider link is removed."""
    wide = await link(api, relay)
    codes: list[str] = []
    for number in range(20):
        sensor = await register_device(api, f"24:6f:28:00:01:{number:02x}")
        payload = await api.change("linkDevice", fields=LINK, listenerId=relay, deviceId=sensor)
        codes += [error["code"] for error in payload["errors"]]
        if codes:
            break
    assert codes == ["CONFLICT"]
    await api.change("unlinkDevice", id=wide["id"])
    listen, _ = await listen_and_version(api, relay)
    assert 5 < len(listen) < 12


async def test_owner_admin_can_not_change_links_of_another_owner(api: Api, relay: str) -> None:
    wide = await link(api, relay)
    foreign = await api.key(kind="ADMIN", owner="Globex")
    payload = await api.change("unlinkDevice", foreign, id=wide["id"])
    assert payload["errors"][0]["code"] == "NOT_FOUND"
    payload = await api.change("linkDevice", foreign, listenerId=relay)
    assert payload["errors"][0]["field"] == "listenerId"


async def test_fleet_counts_devices_by_state_and_owner(api: Api, relay: str) -> None:
    assert relay
    await register_device(api, SENSOR)
    await api.register(api.admin, mac=OTHER, owner="Globex")
    query = """{ fleet { total active pending rejected online inSync outOfSync
      byOwner { owner total online inSync pending } } }"""
    fleet = (await api.ask(query))["fleet"]
    counts = {key: fleet[key] for key in ("total", "active", "pending", "rejected", "online")}
    assert counts == {"total": 3, "active": 3, "pending": 0, "rejected": 0, "online": 0}
    assert (fleet["inSync"], fleet["outOfSync"]) == (0, 3)
    assert [(o["owner"], o["total"]) for o in fleet["byOwner"]] == [("Acme", 2), ("Globex", 1)]
    viewer = await api.key(kind="VIEWER", owner="Globex")
    fleet = (await api.ask(query, viewer))["fleet"]
    assert (fleet["total"], [o["owner"] for o in fleet["byOwner"]]) == (1, ["Globex"])
