"""Events of administration are for administrators: list, filters, pages, subscription, actors."""

import json
from typing import Any

import pytest
import pytest_asyncio

from server.settings import Settings
from tests.alerts.alert_server import execute
from tests.conftest import changed
from tests.events.live.serving import Instance, Socket, instance
from tests.support.client import Api

LIST = """query ($first: Int! = 50, $after: String, $filter: EventFilter) {
  events(first: $first, after: $after, filter: $filter) {
    nodes { cursor kind actor deviceId owner before after device {
      config { updatedBy } links { createdBy } } }
    pageInfo { hasNextPage endCursor } } }"""
SUBSCRIBE = """subscription ($kinds: [EventKind!], $after: ID) {
  eventAdded(kinds: $kinds, after: $after) { cursor kind actor before after } }"""
SECRET_NOTE = "key of Ann Smith"
ADMINISTRATION = ["TOKEN_CREATED", "TOKEN_REVOKED", "RECIPIENT_INVITED", "RECIPIENT_REMOVED"]


async def listed(api: Api, token: str | None = None, **filter: Any) -> Any:
    return (await api.ask(LIST, token, filter=filter))["events"]["nodes"]


@pytest_asyncio.fixture
async def device(api: Api) -> str:
    """A device, and events of both subjects, some by chats."""
    return await with_events(api)


async def with_events(api: Api) -> str:
    created = await api.change("createToken", fields="token { id }", kind="ENROL", note=SECRET_NOTE)
    await api.change("revokeToken", id=created["token"]["id"])
    id = str((await api.register(api.admin))["device"]["id"])
    await api.change("updateConfig", deviceId=id, intervalSeconds=5)
    await api.change("linkDevice", listenerId=id, place="Paris")
    await api.change("updateConfig", deviceId=id, intervalSeconds=6)
    database = api.app.state.database_supervisor.services.database
    await execute(
        database,
        "INSERT INTO events (kind, actor, after) VALUES "
        "('recipient_invited', 'admin:1', '{\"note\": \"key of Ann Smith\"}'), "
        "('recipient_removed', 'telegram:4242', '{\"name\": \"key of Ann Smith\"}')",
    )
    for table, column in (
        ("events", "actor"),
        ("devices", "config_updated_by"),
        ("past_configs", "updated_by"),
        ("links", "created_by"),
    ):
        where = f"{column} LIKE 'admin:%'" + (
            " AND kind = 'config_changed'" if table == "events" else ""
        )
        await execute(database, f"UPDATE {table} SET {column} = 'telegram:4242/17' WHERE {where}")
    return id


@pytest.mark.parametrize("owner", [None, "Acme"])
async def test_viewer_sees_no_events_of_administration(
    api: Api, device: str, owner: str | None
) -> None:
    viewer = await api.key(kind="VIEWER", owner=owner)
    kinds = {event["kind"] for event in await listed(api)}
    assert kinds >= set(ADMINISTRATION)
    found = await listed(api, viewer)
    assert {event["kind"] for event in found} == {
        "DEVICE_REGISTERED",
        "CONFIG_CHANGED",
        "DEVICE_LINKED",
    }
    assert all(event["deviceId"] == device for event in found)
    text = json.dumps(found)
    assert SECRET_NOTE not in text
    assert SECRET_NOTE in json.dumps(await listed(api))


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("kind", ADMINISTRATION)
async def test_filter_by_a_kind_of_administration_is_empty_for_viewer(api: Api, kind: str) -> None:
    assert await listed(api, kinds=[kind])
    viewer = await api.key(kind="VIEWER")
    page = (await api.ask(LIST, viewer, filter={"kinds": [kind]}))["events"]
    assert page == {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}
    assert await api.code(LIST, viewer, filter={"kinds": [kind]}) is None


async def test_pages_of_viewer_are_full(api: Api, device: str) -> None:
    for interval in range(10, 16):
        await api.change("updateConfig", deviceId=device, intervalSeconds=interval)
        await api.key()
    viewer = await api.key(kind="VIEWER")
    sizes, seen, after = [], [], None
    while True:
        page = (await api.ask(LIST, viewer, first=4, after=after))["events"]
        sizes.append(len(page["nodes"]))
        seen += [event["cursor"] for event in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert set(sizes[:-1]) == {4}
    assert seen == [event["cursor"] for event in await listed(api, viewer)]


async def test_revoked_token_of_a_device_is_an_event_of_the_fleet(api: Api) -> None:
    found = await api.register(await api.key())
    tokens = await api.ask("{ tokens(kind: DEVICE) { nodes { id } } }")
    await api.change("revokeToken", id=tokens["tokens"]["nodes"][0]["id"])
    for owner in (None, "Acme"):
        viewer = await api.key(kind="VIEWER", owner=owner)
        [event] = await listed(api, viewer, kinds=["TOKEN_REVOKED"])
        assert (event["deviceId"], event["actor"]) == (found["device"]["id"], "admin")
        assert event["before"]["note"] is None


async def test_viewer_sees_only_the_role_of_an_actor(api: Api, device: str) -> None:
    viewer = await api.key(kind="VIEWER")
    found = await listed(api, viewer)
    assert {event["actor"] for event in found} == {"admin", "telegram"}
    text = json.dumps(found)
    assert "4242" not in text
    assert "admin:" not in text
    assert "telegram:4242/17" in json.dumps(await listed(api))
    for query in (
        "query ($id: ID!) { config(deviceId: $id) { updatedBy } }",
        "query ($id: ID!) { device(id: $id) { config { updatedBy } } }",
        "query ($id: ID!) { device(id: $id) { configHistory { updatedBy } } }",
        "query ($id: ID!) { device(id: $id) { links { createdBy } } }",
    ):
        text = json.dumps(await api.ask(query, viewer, id=device))
        assert '"telegram"' in text
        assert "4242" not in text


async def test_device_sees_only_the_role_of_an_actor(api: Api) -> None:
    token = (await api.register(await api.key()))["token"]
    found = await api.ask("{ me { id config { updatedBy } } }", token)
    assert found["me"]["config"]["updatedBy"] == "enrol"
    await api.change("updateConfig", deviceId=found["me"]["id"], qos=2)
    found = await api.ask(
        "{ me { config { updatedBy } configHistory(first: 5) { updatedBy } } }", token
    )
    assert found["me"]["config"]["updatedBy"] == "admin"
    assert [c["updatedBy"] for c in found["me"]["configHistory"]] == ["admin", "enrol"]


@pytest.mark.usefixtures("device")
async def test_filter_by_actor_compares_with_the_shown_actor(api: Api) -> None:
    viewer = await api.key(kind="VIEWER")
    shown = await listed(api, viewer)
    for actor in ("admin", "telegram"):
        found = await listed(api, viewer, actor=actor)
        assert found == [event for event in shown if event["actor"] == actor] != []
    for actor in ("telegram:4242/17", "telegram:4242", "admin:1"):
        assert await listed(api, viewer, actor=actor) == []
    assert await listed(api, actor="telegram:4242/17")
    assert await listed(api, actor="telegram") == []


@pytest_asyncio.fixture
async def one(settings: Settings) -> Any:
    async with instance(changed(settings)) as one:
        yield one


async def next_event(socket: Socket) -> Any:
    message = await socket.message()
    assert message["type"] == "next", message
    return message["payload"]["data"]["eventAdded"]


async def test_subscription_of_viewer_has_no_events_of_administration(one: Instance) -> None:
    viewer = await one.api.key(kind="VIEWER")
    start = (await one.api.ask("{ latestCursor }"))["latestCursor"]
    seen: dict[str, Any] = {}
    async with (
        await Socket.open(one.url, viewer) as live,
        await Socket.open(one.url, one.api.admin) as admin,
    ):
        await live.subscribe(query=SUBSCRIBE, after=start)
        await admin.subscribe(query=SUBSCRIBE, after=start)
        await with_events(one.api)
        seen["live"] = [await next_event(live) for _ in range(5)]
        kinds = [(await next_event(admin))["kind"] for _ in range(9)]
    assert set(ADMINISTRATION) < set(kinds)
    async with await Socket.open(one.url, viewer) as resumed:
        await resumed.subscribe(query=SUBSCRIBE, after=start)
        seen["resumed"] = [await next_event(resumed) for _ in range(5)]
    for events in seen.values():
        assert [event["kind"] for event in events] == [
            "DEVICE_REGISTERED",
            "CONFIG_CHANGED",
            "DEVICE_LINKED",
            "CONFIG_CHANGED",
            "CONFIG_CHANGED",
        ]
        text = json.dumps(events)
        assert "admin:" not in text
        assert "4242" not in text
        assert SECRET_NOTE not in text
