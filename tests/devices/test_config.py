"""Desired config, applied config and config history."""

import asyncio
from datetime import datetime
from typing import Any

import pytest
import pytest_asyncio

from db.devices import config_history
from db.postgres.database import Database
from tests.support.client import Api
from tests.support.events import events_of

FIELDS = "config { version intervalSeconds qos updatedAt updatedBy }"


@pytest_asyncio.fixture
async def device(api: Api) -> dict[str, str]:
    response = await api.register(await api.key())
    return {"id": response["device"]["id"], "token": response["token"]}


async def test_update_config_creates_version_and_event(
    api: Api, device: dict[str, str], database: Database
) -> None:
    payload = await api.change(
        "updateConfig", fields=FIELDS, deviceId=device["id"], intervalSeconds=30
    )
    config = payload["config"]
    assert (config["version"], config["intervalSeconds"], config["qos"]) == (2, 30, 1)
    [event] = await events_of(database, "config_changed")
    assert event.before
    assert event.after
    old_values = {"version": 1, "intervalSeconds": 60, "qos": 1}
    assert {key: event.before[key] for key in old_values} == old_values
    assert event.after == {**config, "listen": [], "updatedAt": event.after["updatedAt"]}
    same_instant = datetime.fromisoformat
    assert same_instant(event.after["updatedAt"]) == same_instant(config["updatedAt"])
    assert event.actor == config["updatedBy"]
    assert event.actor.startswith("admin:")


async def test_update_config_with_same_values_changes_nothing(
    api: Api, device: dict[str, str], database: Database
) -> None:
    payload = await api.change(
        "updateConfig", fields=FIELDS, deviceId=device["id"], intervalSeconds=60, qos=1
    )
    assert payload["config"]["version"] == 1
    assert await events_of(database, "config_changed") == []


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"intervalSeconds": 0}, "intervalSeconds"),
        ({"intervalSeconds": 604801}, "intervalSeconds"),
        ({"qos": 3}, "qos"),
        ({"qos": -1}, "qos"),
        ({}, None),
    ],
)
async def test_config_values_outside_limits_are_rejected(
    api: Api, device: dict[str, str], values: dict[str, int], field: str | None
) -> None:
    payload = await api.change("updateConfig", fields=FIELDS, deviceId=device["id"], **values)
    assert payload["config"] is None
    assert [(e["code"], e["field"]) for e in payload["errors"]] == [("INVALID", field)]


@pytest.mark.parametrize("values", [{"intervalSeconds": 1, "qos": 0}, {"intervalSeconds": 604800}])
async def test_config_values_at_limits_are_accepted(
    api: Api, device: dict[str, str], values: dict[str, int]
) -> None:
    payload = await api.change("updateConfig", fields=FIELDS, deviceId=device["id"], **values)
    assert payload["errors"] == []


async def test_update_config_with_old_expected_version_is_a_conflict(
    api: Api, device: dict[str, str]
) -> None:
    def attempt(qos: int) -> Any:
        return api.change("updateConfig", deviceId=device["id"], qos=qos, expectedVersion=1)

    payloads = await asyncio.gather(attempt(0), attempt(2))
    codes = sorted(e["code"] for payload in payloads for e in payload["errors"])
    assert codes == ["CONFLICT"]


async def test_in_sync_follows_acknowledged_version(
    api: Api, device: dict[str, str], database: Database
) -> None:
    query = "query ($id: ID!) { device(id: $id) { inSync config { version } appliedConfig { version intervalSeconds } configError } }"  # noqa: E501

    async def config_state() -> Any:
        return (await api.ask(query, id=device["id"]))["device"]

    assert (await config_state())["appliedConfig"] is None
    await api.change("acknowledgeConfig", device["token"], version=1)
    assert (await config_state())["inSync"]

    await api.change("updateConfig", deviceId=device["id"], intervalSeconds=5)
    assert await config_state() == {
        "inSync": False,
        "config": {"version": 2},
        "appliedConfig": {"version": 1, "intervalSeconds": 60},
        "configError": None,
    }
    await api.change("acknowledgeConfig", device["token"], version=2, error="too fast for me")
    assert await config_state() == {
        "inSync": False,
        "config": {"version": 2},
        "appliedConfig": {"version": 1, "intervalSeconds": 60},
        "configError": "too fast for me",
    }
    await api.change("acknowledgeConfig", device["token"], version=2)
    assert (await config_state())["inSync"]
    assert (await config_state())["configError"] is None
    await api.change("acknowledgeConfig", device["token"], version=2)
    assert len(await events_of(database, "config_applied")) == 3


async def test_acknowledge_unknown_version_is_rejected(api: Api, device: dict[str, str]) -> None:
    payload = await api.change("acknowledgeConfig", device["token"], version=7)
    assert [(e["code"], e["field"]) for e in payload["errors"]] == [("INVALID", "version")]


async def test_config_history_has_every_version(api: Api, device: dict[str, str]) -> None:
    for interval in (10, 20, 30):
        await api.change("updateConfig", deviceId=device["id"], intervalSeconds=interval)
    query = "query ($id: ID!, $n: Int!) { device(id: $id) { configHistory(first: $n) { version intervalSeconds } } }"  # noqa: E501
    history = (await api.ask(query, id=device["id"], n=100))["device"]["configHistory"]
    assert [(c["version"], c["intervalSeconds"]) for c in history] == [
        (4, 30),
        (3, 20),
        (2, 10),
        (1, 60),
    ]
    newest = (await api.ask(query, id=device["id"], n=1))["device"]["configHistory"]
    assert newest == history[:1]


async def test_config_histories_of_a_list_are_read_in_one_batch(
    api: Api, device: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A field with an invalid `first` fails without the others."""
    other = (await api.register(api.admin, mac="24:6f:28:00:00:02"))["device"]["id"]
    for id, interval in ((device["id"], 30), (device["id"], 31), (other, 32)):
        await api.change("updateConfig", deviceId=id, intervalSeconds=interval)
    batches = []
    original = config_history.config_histories

    async def recording_config_histories(session: Any, ids: Any, limit: int) -> Any:
        batches.append((set(ids), limit))
        return await original(session, ids, limit)

    monkeypatch.setattr(config_history, "config_histories", recording_config_histories)
    query = "{ devices { nodes { id configHistory(first: 2) { version intervalSeconds } } } }"
    nodes = (await api.ask(query))["devices"]["nodes"]
    assert {node["id"]: [c["version"] for c in node["configHistory"]] for node in nodes} == {
        device["id"]: [3, 2],
        other: [2, 1],
    }
    assert batches == [({device["id"], other}, 1)]
    both = "{ a: device(id: $x) { configHistory(first: 2) { version } } "
    both += "b: device(id: $x) { configHistory(first: 0) { version } } }"
    response = (await api.post(f"query ($x: ID!) {both}", api.admin, x=other)).json()
    assert response["data"]["a"] == {"configHistory": [{"version": 2}, {"version": 1}]}
    assert response["data"]["b"] is None
