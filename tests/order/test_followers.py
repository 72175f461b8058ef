"""What a follower is told of an event is the same alone, on a server that nobody else asks."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from server.settings import Settings
from tests.events.live.serving import Socket, change_config, instance, until
from tests.order.servers import populate, share_what_never_changes
from tests.support.client import Api

LAST = 4_242
# More than there are connections to the database, so that some are told later than others.
CROWD = 12
CHANGES = """subscription ($after: ID%(more)s) {
  configChanged(after: $after%(asked)s) { config { intervalSeconds } %(selected)s }
}"""
EVENTS = """subscription ($after: ID%(more)s) {
  eventAdded(after: $after, kinds: [CONFIG_CHANGED]%(asked)s) { after %(selected)s }
}"""
SMALL, LARGE = "cursor", "cursor device { id owner location { place } inSync }"
# Not for devices, which see no others.
HEARD = "cursor device { id sources { totalCount } }"
CONDITIONAL = "device { id state @include(if: $yes) }"
ASKED = ((CHANGES, SMALL), (CHANGES, LARGE), (CHANGES, HEARD), (EVENTS, LARGE))


@dataclass(frozen=True)
class Follower:
    """`ends`: how often it is told of a last change."""

    caller: str
    document: str
    ends: int
    variables: tuple[tuple[str, Any], ...] = ()


def document(root: str, selected: str, more: str = "", asked: str = "") -> str:
    return root % {"selected": selected, "more": more, "asked": asked}


def followers() -> list[Follower]:
    ends = {"admin": 2, "viewer": 2, "admin of Acme": 1, "admin of Borg": 1, "device": 1}
    found = [
        Follower(caller, document(root, selected), number)
        for caller, number in ends.items()
        for root, selected in ASKED
        if (caller, root) != ("device", EVENTS)
    ]
    heard = document(CHANGES, HEARD)
    found += [Follower(who, heard, ends[who]) for _ in range(CROWD) for who in ("admin", "device")]
    conditional = document(CHANGES, CONDITIONAL, ", $yes: Boolean = true")
    found += [
        Follower("admin", conditional, 2, given)
        for given in ((), (("yes", True),), (("yes", False),), (("yes", None),))
    ]
    owned = document(CHANGES, LARGE, ", $owner: String", ", owner: $owner")
    found += [
        Follower("admin", owned, 2 - bool(owner), (("owner", owner),))
        for owner in ("Acme", "borg ", None)
    ]
    return found


async def told(socket: Socket, follower: Follower) -> list[Any]:
    """All up to the last change."""
    found, ends = [], 0
    while ends < follower.ends:
        message = await socket.message()
        found.append(message)
        ends += str(LAST) in str(message)
        if message["type"] != "next":
            break
    return found


async def change_much(api: Api) -> None:
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


async def test_each_is_told_what_it_would_be_told_alone(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    share_what_never_changes(monkeypatch)
    tokens = await populate(settings)
    everybody = followers()
    async with instance(settings) as one:
        after = (await one.api.ask("{ latestCursor }"))["latestCursor"]
        sockets = []
        for follower in everybody:
            socket = await Socket.open(one.url, tokens[follower.caller])
            await socket.subscribe("1", follower.document, **dict(follower.variables))
            sockets.append(socket)
        await until(lambda: one.subscriptions == len(everybody))
        await change_much(one.api)
        heard = await asyncio.gather(
            *(told(*each) for each in zip(sockets, everybody, strict=True))
        )
        for socket in sockets:
            await socket.connection.close()
    expected = {
        follower: await alone(settings, follower, tokens[follower.caller], after)
        for follower in dict.fromkeys(everybody)
    }
    for follower, messages in zip(everybody, heard, strict=True):
        assert messages == expected[follower], follower


async def alone(settings: Settings, follower: Follower, token: str | None, after: str) -> list[Any]:
    async with instance(settings) as fresh, await Socket.open(fresh.url, token) as socket:
        variables = {**dict(follower.variables), "after": after}
        await socket.subscribe("1", follower.document, **variables)
        return await told(socket, follower)
