"""The event log: list, filters, pages, and the `eventAdded` subscription."""

from typing import Any

import pytest
import pytest_asyncio

from server.settings import Settings
from tests.conftest import changed
from tests.events.live.serving import Instance, Socket, instance
from tests.support.client import Api

LIST = """query ($first: Int! = 50, $after: String, $filter: EventFilter) {
  events(first: $first, after: $after, filter: $filter) {
    nodes { cursor at kind actor deviceId device { id } owner before after }
    pageInfo { hasNextPage endCursor } } }"""
SUBSCRIBE = """subscription ($kinds: [EventKind!], $owner: String, $after: ID) {
  eventAdded(kinds: $kinds, owner: $owner, after: $after) { cursor kind actor owner device { id } }
}"""


async def listed(api: Api, token: str | None = None, **filter: Any) -> Any:
    return (await api.ask(LIST, token, filter=filter))["events"]["nodes"]


@pytest_asyncio.fixture
async def device(api: Api) -> str:
    found = await api.register(await api.key())
    return str(found["device"]["id"])


async def test_config_change_event_has_actor_before_and_after(api: Api, device: str) -> None:
    await api.change("updateConfig", deviceId=device, intervalSeconds=5)
    newest = (await listed(api))[0]
    assert newest["kind"] == "CONFIG_CHANGED"
    assert newest["actor"].startswith("admin:")
    assert (newest["deviceId"], newest["device"]["id"], newest["owner"]) == (device, device, "Acme")
    assert (newest["before"]["intervalSeconds"], newest["after"]["intervalSeconds"]) == (60, 5)


async def test_event_filters(api: Api, device: str) -> None:
    await api.change("updateConfig", deviceId=device, intervalSeconds=5)
    other = await api.register(api.admin, mac="24:6f:28:00:00:09", owner="Globex")
    admin = (await listed(api, kinds=["CONFIG_CHANGED"]))[0]["actor"]
    for filter, kinds in (
        ({"deviceId": device.upper()}, ["CONFIG_CHANGED", "DEVICE_REGISTERED"]),
        ({"owner": "GLOBEX"}, ["DEVICE_REGISTERED"]),
        ({"owner": "unknown"}, []),
        ({"kinds": ["CONFIG_CHANGED"]}, ["CONFIG_CHANGED"]),
        ({"kinds": []}, []),
        ({"deviceId": device, "actor": admin}, ["CONFIG_CHANGED"]),
        ({"actor": f"device:{device}"}, []),
        ({"until": "2020-01-01T00:00:00Z"}, []),
        ({"since": "2020-01-01T00:00:00+05:00", "owner": "Globex"}, ["DEVICE_REGISTERED"]),
    ):
        assert [e["kind"] for e in await listed(api, **filter)] == kinds, filter
    await api.ask("{ me { id } }", other["token"])
    by_device = await listed(api, actor=f"device:{other['device']['id']}")
    assert [event["kind"] for event in by_device] == ["TOKEN_CONFIRMED"]


async def test_event_pages(api: Api, device: str) -> None:
    for interval in range(1, 6):
        await api.change("updateConfig", deviceId=device, intervalSeconds=interval)
    everything = [event["cursor"] for event in await listed(api)]
    assert everything == sorted(everything, key=int, reverse=True)
    seen, after = [], None
    while True:
        page = (await api.ask(LIST, first=3, after=after))["events"]
        seen += [event["cursor"] for event in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert seen == everything
    assert await api.code(LIST, api.admin, after="nonsense") == "INVALID"


async def test_events_of_deleted_device_remain(api: Api, device: str) -> None:
    await api.change("deleteDevice", id=device)
    deleted = (await listed(api, deviceId=device))[0]
    assert (deleted["kind"], deleted["device"], deleted["owner"]) == (
        "DEVICE_DELETED",
        None,
        "Acme",
    )


async def test_owner_viewer_sees_only_events_of_that_owner(api: Api, device: str) -> None:
    await api.register(api.admin, mac="24:6f:28:00:00:09", owner="Globex")
    globex = await api.key(kind="VIEWER", owner="Globex")
    assert {event["owner"] for event in await listed(api, globex)} == {"Globex"}
    assert await listed(api, globex, deviceId=device) == []
    # After a move, the former owner sees older events, but not the device.
    acme = await api.key(kind="VIEWER", owner="Acme")
    await api.change("updateDevice", id=device, owner="Globex")
    before = (await listed(api, acme, kinds=["DEVICE_REGISTERED"]))[0]
    assert (before["deviceId"], before["device"]) == (device, None)


async def test_events_contain_no_secrets(api: Api) -> None:
    secrets = [await api.key(), await api.key(kind="ADMIN")]
    secrets.append((await api.register(secrets[0]))["token"])
    text = str(await listed(api))
    assert not any(secret in text for secret in secrets)


@pytest_asyncio.fixture
async def one(settings: Settings) -> Any:
    async with instance(changed(settings)) as one:
        yield one


async def test_event_added_subscription_and_resume(one: Instance) -> None:
    start = (await one.api.ask("{ latestCursor }"))["latestCursor"]
    found = await one.api.register(one.api.admin)
    wanted = {"kinds": ["DEVICE_REGISTERED", "CONFIG_CHANGED"], "after": start}
    async with await Socket.open(one.url, one.api.admin) as socket:
        await socket.subscribe(query=SUBSCRIBE, **wanted)
        seen = [await next_event(socket)]
        await one.api.change("updateConfig", deviceId=found["device"]["id"], qos=0)
        seen.append(await next_event(socket))
    assert [event["kind"] for event in seen] == ["DEVICE_REGISTERED", "CONFIG_CHANGED"]
    assert {event["owner"] for event in seen} == {"Acme"}
    async with await Socket.open(one.url, found["token"]) as socket:
        await socket.subscribe(query=SUBSCRIBE)
        assert (await socket.errors())[0]["extensions"]["code"] == "FORBIDDEN"


async def next_event(socket: Socket) -> Any:
    message = await socket.message()
    assert message["type"] == "next", message
    return message["payload"]["data"]["eventAdded"]


@pytest.mark.parametrize("kind", ["ENROL", "device"])
async def test_devices_and_enrolment_keys_may_not_list_events(api: Api, kind: str) -> None:
    key = await api.key()
    token = (await api.register(key))["token"] if kind == "device" else key
    assert await api.code(LIST, token) == "FORBIDDEN"
