"""The registry's rights, enforced by each broker: who is nobody, and who is nobody any more."""

import asyncio
from typing import Any

import pytest
import pytest_asyncio

from domain.mqtt.topics import topics_of
from tests.conftest import ADMIN
from tests.mqtt import observer
from tests.mqtt.attempts import ATTEMPTS, Party, Target
from tests.mqtt.conftest import Fleet
from tests.mqtt.observer import Observer
from tests.mqtt.ruled import SERVER_PASSWORD
from tests.support.waiting import until


async def party(fleet: Fleet, number: int) -> Party:
    found = await fleet.api.register(ADMIN, mac=f"24:6f:28:00:30:{number:02x}")
    topics = topics_of(found["device"]["topics"]["data"])
    return Party(found["device"]["id"], found["token"], fleet.port, topics)


async def let_in(fleet: Fleet, party: Party, filter: str | None = None) -> Observer:
    """A broker with files learns of a new token after a moment."""
    client = await observer.let_in(fleet.port, party.username, party.password)
    await client.subscribe(filter or party.topics.config, 1)
    return client


async def refused(fleet: Fleet, username: str, password: str) -> bool:
    port = fleet.second_port if username == "admin" else fleet.port
    async with Observer(port, username, password) as client:
        return client.refused is not None


@pytest_asyncio.fixture
async def target(fleet: Fleet) -> Target:
    own = fleet.api.app.state.broker._access.server_password
    embedded = fleet.settings.mqtt_url is None
    secret = own if embedded else SERVER_PASSWORD
    server = Party("rollcall", secret, fleet.second_port, topics_of("x"))
    target = Target("127.0.0.1", await party(fleet, 1), await party(fleet, 2), server)
    for one in (target.thief, target.victim):
        await (await let_in(fleet, one)).close()
    return target


async def test_nothing_passes_that_a_device_tries(target: Target) -> None:
    passed = {}
    for name, attempt in ATTEMPTS.items():
        if found := await asyncio.to_thread(attempt, target):
            passed[name] = found
    assert passed == {}


async def test_people_and_keys_are_no_devices(fleet: Fleet, target: Target) -> None:
    viewer, key = await fleet.api.key(kind="VIEWER"), await fleet.api.key()
    for secret in (viewer, key, "", "x"):
        for name in (target.victim.username, "admin", "viewer", "rollcall", "admin-1", ""):
            assert await refused(fleet, name, secret), (name, secret)
    assert await refused(fleet, "rollcall", ADMIN)
    assert await refused(fleet, target.victim.username, ADMIN)
    assert await refused(fleet, "admin", target.victim.password)


async def test_an_administrators_tool_reads_all_and_writes_nothing(
    fleet: Fleet, target: Target
) -> None:
    victim = target.victim
    device = await let_in(fleet, victim)
    async with Observer(fleet.second_port, "admin", ADMIN) as tool:
        assert (await tool.subscribe("#")) != [128]
        await device.publish(victim.topics.data, "21")
        await until(lambda: tool.kept.get(victim.topics.data) == b"21")
        tool.client.publish(victim.topics.config, '{"v":9}', 1, retain=True)
        # Whichever way the broker says no, the device hears nothing of it.
        await fleet.api.change("updateConfig", deviceId=victim.username, qos=0)
        await until(lambda: device.config(victim.topics.data))
        await until(lambda: (device.config(victim.topics.data) or {})["v"] == 2)
    assert not [payload for _, payload in device.heard if b'"v":9' in payload]
    await device.close()


async def revoked(fleet: Fleet, party: Party) -> None:
    query = "{ tokens(kind: DEVICE, first: 500) { nodes { id deviceId } } }"
    nodes = (await fleet.api.ask(query))["tokens"]["nodes"]
    [token] = [node["id"] for node in nodes if node["deviceId"] == party.username]
    await fleet.api.change("revokeToken", id=token)


async def deleted(fleet: Fleet, party: Party) -> None:
    await fleet.api.change("deleteDevice", id=party.username)


async def replaced(fleet: Fleet, party: Party) -> None:
    """By a new token, which has been used."""
    made = await fleet.api.change(
        "rotateDeviceToken", party.password, fields="token", id=party.username
    )
    await fleet.api.ask("{ me { id } }", made["token"])


@pytest.mark.parametrize("end", [revoked, deleted, replaced])
async def test_who_is_nobody_any_more_is_cut_off(fleet: Fleet, target: Target, end: Any) -> None:
    victim = target.victim
    present, other = await let_in(fleet, victim), await let_in(fleet, target.thief)
    await end(fleet, victim)
    await until(present.ended.is_set)
    assert await refused(fleet, victim.username, victim.password)
    assert not other.ended.is_set()
    for client in (present, other):
        await client.close()


async def hears(hearing: Observer, speaker: Observer, topic: str) -> bool:
    await speaker.publish(topic, "21", retain=False)
    return topic in hearing.kept


async def hears_nothing(hearing: Observer, speaker: Observer, topic: str) -> bool:
    """Which shows by what comes after it."""
    hearing.heard.clear()
    await speaker.publish(topic, "22", retain=False)
    await hearing.subscribe("nobody/uses/this")
    return not hearing.heard


async def test_a_link_gives_and_takes_the_right_to_hear(fleet: Fleet, target: Target) -> None:
    listener, source = target.thief, target.victim
    speaker = await let_in(fleet, source)
    made = await fleet.api.change(
        "linkDevice", fields="link { id filter }", listenerId=listener.username, place="Paris"
    )
    hearing = await let_in(fleet, listener, made["link"]["filter"])
    await until(lambda: hears(hearing, speaker, source.topics.data))
    await fleet.api.change("unlinkDevice", id=made["link"]["id"])
    await until(lambda: hears_nothing(hearing, speaker, source.topics.data))
    for client in (hearing, speaker):
        await client.close()


async def test_a_waiting_device_has_no_rights(fleet: Fleet, target: Target) -> None:
    victim = target.victim
    await fleet.api.ask("{ me { id } }", victim.password)
    again = await fleet.api.register(await fleet.api.key(), mac="24:6f:28:00:30:02")
    assert again["outcome"] == "PENDING"
    assert await refused(fleet, victim.username, again["token"])
    assert not await refused(fleet, victim.username, victim.password)
