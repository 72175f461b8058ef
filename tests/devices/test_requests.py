"""Requests for approval: which ones are the same, how many are open, and decisions on them."""

from typing import Any

import pytest

from db.postgres.database import Database
from server.settings import Settings
from tests.alerts.alert_server import rows
from tests.conftest import ADMIN, changed, served
from tests.devices.requests import BENCH_ID, ask_from, open_requests, used_device
from tests.support.client import Api
from tests.support.events import events_of

ME = "{ me { id } }"


async def works(api: Api, token: str) -> bool:
    return await api.code(ME, token) is None


async def test_request_shows_where_it_came_from(api: Api, database: Database) -> None:
    await used_device(api)
    key = await api.key(note="first batch")
    answer = await ask_from(api, "10.0.0.1", key, sensorModel="DHT22", firmware="2.0")
    assert (answer["outcome"], answer["device"], answer["errors"]) == ("PENDING", None, [])
    [request] = await open_requests(api)
    key_id = request["key"]["id"]
    assert request["key"]["note"] == "first batch"
    assert (request["address"], request["timesAsked"]) == ("10.0.0.1", 1)
    assert (request["sensorModel"], request["firmware"]) == ("DHT22", "2.0")
    assert (request["conflict"], request["foreignOwner"]) == (False, False)
    assert request["device"] == {"id": BENCH_ID, "owner": "Acme"}
    [event] = await events_of(database, "enrolment_requested")
    assert event.after == {
        "requestId": request["id"],
        "address": "10.0.0.1",
        "keyId": key_id,
        "sensorModel": "DHT22",
        "firmware": "2.0",
    }


async def test_lost_answer_is_the_same_request(api: Api, database: Database) -> None:
    await used_device(api)
    key = await api.key()
    lost = await ask_from(api, "10.0.0.1", key)
    answer = await ask_from(api, "10.0.0.1", key, firmware="1.1")
    [request] = await open_requests(api)
    assert (request["timesAsked"], request["firmware"]) == (2, "1.1")
    assert request["requestedAt"] < request["lastAskedAt"]
    assert len(await events_of(database, "enrolment_requested")) == 1
    assert not await works(api, lost["token"])
    assert (await api.register(answer["token"]))["outcome"] == "PENDING"
    await api.change("approveDevice", id=BENCH_ID)
    assert await works(api, answer["token"])


@pytest.mark.parametrize("other", ["key", "address"])
async def test_other_key_or_address_is_another_request(
    api: Api, database: Database, other: str
) -> None:
    await used_device(api)
    key = await api.key()
    first = await ask_from(api, "10.0.0.1", key)
    if other == "key":
        second = await ask_from(api, "10.0.0.1", await api.key())
    else:
        second = await ask_from(api, "10.0.0.2", key)
    newer, older = await open_requests(api)
    assert (newer["conflict"], older["conflict"]) == (True, True)
    assert (newer["timesAsked"], older["timesAsked"]) == (1, 1)
    assert len(await events_of(database, "enrolment_requested")) == 2
    for answer in (first, second):
        assert (await api.register(answer["token"]))["outcome"] == "PENDING"


async def test_new_device_with_policy_approve_has_a_request(
    settings: Settings, database: Database
) -> None:
    async with served(changed(settings, enrolment="approve")) as api:
        key = await api.key()
        first = await ask_from(api, "10.0.0.1", key)
        [request] = await open_requests(api)
        assert (request["address"], request["sensorModel"]) == ("10.0.0.1", "BME280")
        [event] = await events_of(database, "device_registered")
        assert event.after
        assert (event.after["requestId"], event.after["address"]) == (request["id"], "10.0.0.1")
        assert event.after["owner"] == "Acme"
        second = await ask_from(api, "10.0.0.2", key)
        await api.change("approveDevice", id=BENCH_ID, request=request["id"])
        assert (await api.register(first["token"]))["outcome"] == "KNOWN"
        assert not await works(api, second["token"])


async def test_sixth_request_changes_nothing(api: Api, database: Database) -> None:
    await used_device(api)
    key = await api.key()
    for number in range(5):
        assert (await ask_from(api, f"10.0.0.{number}", key))["token"]
    state = "SELECT access_revision, awaits_approval FROM devices"
    before = await rows(database, state)
    sixth = await ask_from(api, "10.0.0.9", key)
    assert (sixth["outcome"], sixth["token"]) == ("PENDING", None)
    assert sixth["retryAfterSeconds"] > 0
    assert await rows(database, state) == before
    assert len(await open_requests(api)) == 5
    assert len(await events_of(database, "enrolment_requested")) == 5
    again = await ask_from(api, "10.0.0.3", key)
    assert again["token"]
    rejected = (await open_requests(api))[0]["id"]
    await api.change("rejectDevice", id=BENCH_ID, request=rejected)
    assert (await ask_from(api, "10.0.0.9", key))["token"]


async def test_several_requests_must_be_named(api: Api) -> None:
    await used_device(api)
    key = await api.key()
    first = await ask_from(api, "10.0.0.1", key)
    second = await ask_from(api, "10.0.0.2", key)
    refused = await api.change("approveDevice", id=BENCH_ID)
    [error] = refused["errors"]
    assert (error["code"], error["field"]) == ("CONFLICT", "request")
    assert "enrolmentRequests" in error["message"]
    assert not await works(api, first["token"])
    older = (await open_requests(api))[1]
    payload = await api.change(
        "approveDevice", fields="device { awaitsApproval }", id=BENCH_ID, request=older["id"]
    )
    assert payload["device"] == {"awaitsApproval": False}
    assert await works(api, first["token"])
    assert (await api.post(ME, second["token"])).status_code == 401
    assert await open_requests(api) == []


async def test_one_request_is_rejected_and_the_others_stay(
    settings: Settings, database: Database
) -> None:
    async with served(changed(settings, enrolment="approve")) as api:
        key = await api.key()
        first = await ask_from(api, "10.0.0.1", key)
        second = await ask_from(api, "10.0.0.2", key)
        newer, older = await open_requests(api)
        fields = "device { state awaitsApproval enrolmentRequests { id conflict } }"
        payload = await api.change("rejectDevice", fields=fields, id=BENCH_ID, request=newer["id"])
        assert payload["device"] == {
            "state": "PENDING",
            "awaitsApproval": True,
            "enrolmentRequests": [{"id": older["id"], "conflict": False}],
        }
        assert (await api.post(ME, second["token"])).status_code == 401
        assert (await api.register(first["token"]))["outcome"] == "PENDING"
        [event] = await events_of(database, "device_rejected")
        assert event.after
        assert (event.after["requestId"], event.after["address"]) == (newer["id"], "10.0.0.2")
        assert event.after["state"] == "pending"
        payload = await api.change("rejectDevice", fields=fields, id=BENCH_ID, request=older["id"])
        assert payload["device"]["state"] == "REJECTED"
        assert (await ask_from(api, "10.0.0.3", key))["outcome"] == "REJECTED"


async def test_rejection_without_request_rejects_all(api: Api, database: Database) -> None:
    token = await used_device(api)
    key = await api.key()
    answers = [await ask_from(api, f"10.0.0.{number}", key) for number in range(3)]
    assert (await api.change("rejectDevice", id=BENCH_ID))["errors"] == []
    assert await open_requests(api) == []
    assert len(await events_of(database, "device_rejected")) == 3
    for answer in answers:
        assert (await api.post(ME, answer["token"])).status_code == 401
    assert (await ask_from(api, "10.0.0.1", key))["outcome"] == "REJECTED"
    assert (await api.register(token))["outcome"] == "KNOWN"


@pytest.mark.parametrize("mutation", ["approveDevice", "rejectDevice"])
async def test_decided_request_is_outdated(api: Api, mutation: str) -> None:
    await used_device(api)
    key = await api.key()
    await ask_from(api, "10.0.0.1", key)
    await ask_from(api, "10.0.0.2", key)
    newer, older = await open_requests(api)
    await api.change("rejectDevice", id=BENCH_ID, request=newer["id"])
    for id in (newer["id"], "0", "nonsense", ""):
        payload = await api.change(mutation, id=BENCH_ID, request=id)
        [error] = payload["errors"]
        assert (error["code"], error["field"]) == ("CONFLICT", "request")
        assert error["message"].startswith("This request is outdated")
    assert [request["id"] for request in await open_requests(api)] == [older["id"]]


async def test_request_of_another_device_is_outdated(api: Api) -> None:
    await used_device(api)
    await api.register(ADMIN, mac="24:6f:28:00:00:02")
    key = await api.key()
    await api.register(key)
    await api.register(key, mac="24:6f:28:00:00:02")
    newer, _ = await open_requests(api)
    payload = await api.change("approveDevice", id=BENCH_ID, request=newer["id"])
    assert [error["code"] for error in payload["errors"]] == ["CONFLICT"]


async def test_first_use_of_own_token_keeps_requests(api: Api) -> None:
    """An administrator still decides on them."""
    key = await api.key()
    own = await api.register(key)
    other = await api.register(await api.key())
    await api.ask(ME, own["token"])
    [request] = await open_requests(api)
    await api.change("approveDevice", id=BENCH_ID, request=request["id"])
    assert await works(api, other["token"])


async def test_revoked_pending_token_has_no_request(api: Api, database: Database) -> None:
    await used_device(api)
    answer = await api.register(await api.key())
    [(id,)] = await rows(database, "SELECT id FROM tokens WHERE waiting")
    assert (await api.change("revokeToken", id=str(id)))["errors"] == []
    assert await open_requests(api) == []
    assert (await api.post(ME, answer["token"])).status_code == 401
    device = await api.ask(f'{{ device(id: "{BENCH_ID}") {{ awaitsApproval }} }}')
    assert device["device"] == {"awaitsApproval": False}


async def test_requests_are_listed_in_pages(api: Api) -> None:
    key = await api.key()
    for number in range(5):
        await api.register(ADMIN, mac=f"24:6f:28:00:00:0{number}")
        await api.register(key, mac=f"24:6f:28:00:00:0{number}")
    ids = [request["id"] for request in await open_requests(api)]
    assert ids == sorted(ids, key=int, reverse=True)
    query = (
        "query ($after: String) { enrolmentRequests(first: 2, after: $after) "
        "{ edges { node { id } cursor } pageInfo { hasNextPage endCursor } } }"
    )
    found: list[str] = []
    info: dict[str, Any] = {"hasNextPage": True, "endCursor": None}
    while info["hasNextPage"]:
        page = (await api.ask(query, after=info["endCursor"]))["enrolmentRequests"]
        found += [edge["node"]["id"] for edge in page["edges"]]
        info = page["pageInfo"]
    assert found == ids


@pytest.mark.parametrize("role", ["ADMIN", "VIEWER"])
async def test_only_administrators_see_requests(api: Api, role: str) -> None:
    await used_device(api)
    await api.register(await api.key())
    token = await api.key(kind=role, owner="Acme")
    query = "{ devices { nodes { awaitsApproval enrolmentRequests { id key { id } } } } }"
    [device] = (await api.ask(query, token))["devices"]["nodes"]
    assert device["awaitsApproval"]
    assert len(device["enrolmentRequests"]) == (role == "ADMIN")
    if role == "ADMIN":
        # The key is not limited to this owner.
        assert device["enrolmentRequests"][0]["key"] is None
        assert len(await open_requests(api, token)) == 1
    else:
        assert await api.code("{ enrolmentRequests { nodes { id } } }", token) == "FORBIDDEN"
