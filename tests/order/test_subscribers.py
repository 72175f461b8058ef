"""A subscriber gets the same events with many others as alone on a new server."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from server.settings import Settings
from tests.events.live.serving import Socket, change_config, instance, until
from tests.order.servers import populate, share_schema_and_validation
from tests.support.client import Api

LAST = 4_242
# More than the database connections, so that some subscribers get events later than others.
SUBSCRIBERS_PER_CALLER = 12
CHANGES = """subscription ($after: ID%(more)s) {
  configChanged(after: $after%(arguments)s) { config { intervalSeconds } %(selected)s }
}"""
EVENTS = """subscription ($after: ID%(more)s) {
  eventAdded(after: $after, kinds: [CONFIG_CHANGED]%(arguments)s) { after %(selected)s }
}"""
SMALL, LARGE = "cursor", "cursor device { id owner location { place } inSync }"
# The number of sources differs for device callers, which see no other devices.
SOURCES = "cursor device { id sources { totalCount } }"
CONDITIONAL = "device { id state @include(if: $yes) }"
SELECTIONS = ((CHANGES, SMALL), (CHANGES, LARGE), (CHANGES, SOURCES), (EVENTS, LARGE))


@dataclass(frozen=True)
class Subscriber:
    """`ends`: how many of the last changes it receives."""

    caller: str
    document: str
    ends: int
    variables: tuple[tuple[str, Any], ...] = ()


def document(root: str, selected: str, more: str = "", arguments: str = "") -> str:
    return root % {"selected": selected, "more": more, "arguments": arguments}


def subscribers() -> list[Subscriber]:
    ends = {"admin": 2, "viewer": 2, "admin of Acme": 1, "admin of Borg": 1, "device": 1}
    found = [
        Subscriber(caller, document(root, selected), number)
        for caller, number in ends.items()
        for root, selected in SELECTIONS
        if (caller, root) != ("device", EVENTS)
    ]
    sources = document(CHANGES, SOURCES)
    found += [
        Subscriber(caller, sources, ends[caller])
        for _ in range(SUBSCRIBERS_PER_CALLER)
        for caller in ("admin", "device")
    ]
    conditional = document(CHANGES, CONDITIONAL, ", $yes: Boolean = true")
    found += [
        Subscriber("admin", conditional, 2, given)
        for given in ((), (("yes", True),), (("yes", False),), (("yes", None),))
    ]
    owned = document(CHANGES, LARGE, ", $owner: String", ", owner: $owner")
    found += [
        Subscriber("admin", owned, 2 - bool(owner), (("owner", owner),))
        for owner in ("Acme", "borg ", None)
    ]
    return found


async def received(socket: Socket, subscriber: Subscriber) -> list[Any]:
    """Return all messages up to the last change."""
    found, ends = [], 0
    while ends < subscriber.ends:
        message = await socket.message()
        found.append(message)
        ends += str(LAST) in str(message)
        if message["type"] != "next":
            break
    return found


async def make_changes(api: Api) -> None:
    nodes = (await api.ask("{ devices(first: 6) { nodes { id owner } } }"))["devices"]["nodes"]
    first, second, third, *others = nodes
    for device in others:
        await change_config(api, device["id"], 77)
    moved = await api.change("updateDevice", id=third["id"], owner="Borg")
    assert moved["errors"] == []
    for interval in range(100, 105):
        await change_config(api, first["id"], interval)
    for device in (first, second):
        await change_config(api, device["id"], LAST)


async def test_subscriber_gets_the_same_events_as_alone(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    share_schema_and_validation(monkeypatch)
    tokens = await populate(settings)
    all_subscribers = subscribers()
    async with instance(settings) as one:
        after = (await one.api.ask("{ latestCursor }"))["latestCursor"]
        sockets = []
        for subscriber in all_subscribers:
            socket = await Socket.open(one.url, tokens[subscriber.caller])
            await socket.subscribe("1", subscriber.document, **dict(subscriber.variables))
            sockets.append(socket)
        await until(lambda: one.subscriptions == len(all_subscribers))
        await make_changes(one.api)
        results = await asyncio.gather(
            *(received(*each) for each in zip(sockets, all_subscribers, strict=True))
        )
        for socket in sockets:
            await socket.connection.close()
    expected = {
        subscriber: await alone(settings, subscriber, tokens[subscriber.caller], after)
        for subscriber in dict.fromkeys(all_subscribers)
    }
    for subscriber, messages in zip(all_subscribers, results, strict=True):
        assert messages == expected[subscriber], subscriber


async def alone(
    settings: Settings, subscriber: Subscriber, token: str | None, after: str
) -> list[Any]:
    async with instance(settings) as fresh, await Socket.open(fresh.url, token) as socket:
        variables = {**dict(subscriber.variables), "after": after}
        await socket.subscribe("1", subscriber.document, **variables)
        return await received(socket, subscriber)
