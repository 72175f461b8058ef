"""Device lists, filters, pages, and changes by an administrator."""

from datetime import datetime
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text

from db.postgres.database import Database
from resolvers.maintenance import write_last_seen
from tests.support.client import Api
from tests.support.events import events_of
from tests.support.waiting import until

PLACES = ["Paris", "Rome", "New York"]
TYPES = ["temperature", "pressure"]


@pytest_asyncio.fixture
async def fleet(api: Api) -> list[str]:
    """Twelve devices of two owners, in the order of registration."""
    ids = []
    for number in range(12):
        answer = await api.register(
            api.admin,
            mac=f"24:6f:28:00:00:{number:02x}",
            owner=["Acme", "Globex"][number % 2],
            location={"place": PLACES[number % 3]},
            measurementType=TYPES[number // 6],
            sensorModel=["BME280", "DS18B20"][number % 2],
            firmware=f"1.{number}",
        )
        ids.append(answer["device"]["id"])
    return ids


async def listed(api: Api, filter: dict[str, Any]) -> list[str]:
    query = "query ($f: DeviceFilter) { devices(filter: $f) { totalCount nodes { id } } }"
    page = (await api.ask(query, f=filter))["devices"]
    assert page["totalCount"] == len(page["nodes"])
    return [node["id"] for node in page["nodes"]]


@pytest.mark.parametrize(
    ("filter", "numbers"),
    [
        ({}, range(12)),
        ({"owner": "acme"}, range(0, 12, 2)),
        ({"owner": " ACME "}, range(0, 12, 2)),
        ({"owner": "Unknown"}, []),
        ({"place": "new york"}, [2, 5, 8, 11]),
        ({"measurementType": "pressure"}, range(6, 12)),
        ({"sensorModel": "bme280"}, range(0, 12, 2)),
        ({"state": "ACTIVE"}, range(12)),
        ({"state": "PENDING"}, []),
        ({"awaitsApproval": False}, range(12)),
        ({"inSync": False}, range(12)),
        ({"inSync": True}, []),
        ({"search": "york"}, [2, 5, 8, 11]),
        ({"search": "NEW yo"}, [2, 5, 8, 11]),
        ({"search": "ds18 press"}, [7, 9, 11]),
        ({"search": "ork"}, []),
        ({"search": "'; drop table devices --"}, []),
        ({"search": "!!!"}, []),
        ({"search": "246f.2800.0003"}, [3]),
        ({"owner": "Acme", "place": "Paris", "measurementType": "pressure"}, [6]),
    ],
)
async def test_device_list_is_filtered(
    api: Api, fleet: list[str], filter: dict[str, Any], numbers: list[int]
) -> None:
    assert await listed(api, filter) == [fleet[number] for number in numbers]


async def test_search_by_prefix_of_id(api: Api, fleet: list[str]) -> None:
    assert await listed(api, {"search": fleet[4][:12]}) == [fleet[4]]


async def test_pages_have_every_device_once_during_changes(api: Api, fleet: list[str]) -> None:
    query = """query ($after: String) { devices(first: 5, after: $after) {
        nodes { id } edges { cursor node { id } }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""
    seen: list[str] = []
    after = None
    while True:
        page = (await api.ask(query, after=after))["devices"]
        assert [edge["node"] for edge in page["edges"]] == page["nodes"]
        assert page["pageInfo"]["startCursor"] == page["edges"][0]["cursor"]
        assert page["pageInfo"]["hasPreviousPage"] is (after is not None)
        seen += [node["id"] for node in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
        if len(seen) == 5:
            await api.change("deleteDevice", id=seen.pop(0))
            await api.change("updateConfig", deviceId=fleet[10], qos=0)
    assert seen == fleet[1:]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ("first: 0", "first"),
        ("first: 501", "first"),
        ('after: "nonsense"', "after"),
        ('after: "dG9rZW46MQ=="', "after"),
        ('after: "é"', "after"),
        (f'filter: {{search: "{"x" * 101}"}}', "search"),
    ],
)
async def test_invalid_list_arguments_are_rejected(api: Api, arguments: str, field: str) -> None:
    answer = (await api.post(f"{{ devices({arguments}) {{ totalCount }} }}", api.admin)).json()
    extensions = answer["errors"][0]["extensions"]
    assert extensions["code"] == "INVALID"
    assert [problem["field"] for problem in extensions["problems"]] == [field]


@pytest.mark.parametrize("id", ["nonsense", "", "\x00", "\ud800", "f" * 32, "F" * 33])
async def test_unknown_device_is_null_or_not_found(api: Api, id: str) -> None:
    query = "query ($id: ID!) { device(id: $id) { id } topics(deviceId: $id) { data } }"
    assert await api.ask(query, id=id) == {"device": None, "topics": None}
    payload = await api.change("updateConfig", deviceId=id, qos=0)
    assert [(e["code"], e["field"]) for e in payload["errors"]] == [("NOT_FOUND", "deviceId")]


async def test_move_changes_topic_and_config_version(
    api: Api, fleet: list[str], database: Database
) -> None:
    id = fleet[0]
    payload = await api.change(
        "updateDevice",
        fields="device { topics { data } location { place latitude } config { version } }",
        id=id,
        location={"place": "Rome", "latitude": 41.9, "longitude": 12.5},
    )
    assert payload["device"] == {
        "topics": {"data": f"acme/rome/temperature/{id}"},
        "location": {"place": "Rome", "latitude": 41.9},
        "config": {"version": 2},
    }
    assert await listed(api, {"search": "rome acme", "measurementType": "temperature"}) == [
        fleet[0],
        fleet[4],
    ]
    [event] = await events_of(database, "device_updated")
    assert event.before is not None
    assert event.after is not None
    assert (event.before["place"], event.after["place"]) == ("Paris", "Rome")
    assert event.before.keys() == {"place", "latitude", "longitude", "topic"}
    [config] = await events_of(database, "config_changed")
    assert config.before
    assert config.after
    assert (config.before["version"], config.after["version"]) == (1, 2)
    assert event.actor.startswith("admin:")


async def test_update_device_with_same_values_changes_nothing(
    api: Api, fleet: list[str], database: Database
) -> None:
    payload = await api.change(
        "updateDevice",
        fields="device { updatedAt registeredAt }",
        id=fleet[0],
        owner="ACME",
        sensorModel="BME280",
    )
    assert payload["device"]["updatedAt"] == payload["device"]["registeredAt"]
    assert await events_of(database, "device_updated") == []


async def test_deleted_device_is_removed_and_recorded_as_event(
    api: Api, fleet: list[str], database: Database
) -> None:
    assert (await api.change("deleteDevice", fields="id", id=fleet[0]))["id"] == fleet[0]
    assert await listed(api, {}) == fleet[1:]
    again = await api.change("deleteDevice", id=fleet[0])
    assert again["errors"][0]["code"] == "NOT_FOUND"
    [event] = await events_of(database, "device_deleted")
    assert event.device_id == fleet[0]
    assert event.before is not None
    assert event.before["place"] == "Paris"


async def test_requests_of_device_update_last_seen(api: Api) -> None:
    """Last seen is written soon after the response, at most once a minute."""
    device = await api.register(await api.key(), mac="24:6f:28:00:99:01")
    id, token = device["device"]["id"], device["token"]
    services = api.app.state.database_supervisor.services
    database: Database = services.database

    async def last_seen() -> tuple[datetime, float]:
        """Return the time, and its age in seconds."""
        found = "SELECT last_seen_at, extract(epoch FROM now() - last_seen_at) FROM devices"
        async with database.transaction() as session:
            moment, age = (await session.execute(text(found))).one()
        return moment, float(age)

    await api.ask("{ me { id } }", token)
    async with database.transaction() as session:
        before = text("UPDATE devices SET last_seen_at = now() - interval '1 hour'")
        await session.execute(before)
    await api.ask('{ device(id: "' + id + '") { id } }')
    assert await write_last_seen(services) == 0
    assert (await last_seen())[1] > 3500
    await api.ask("{ me { id } }", token)

    async def seen_recently() -> bool:
        return (await last_seen())[1] <= 60

    await until(seen_recently)
    first, _ = await last_seen()
    await api.ask("{ me { id } }", token)
    assert await write_last_seen(services) == 0
    assert (await last_seen())[0] == first
