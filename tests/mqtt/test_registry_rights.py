"""Rights from the registry, enforced by each broker, also after a token or link is removed."""

import asyncio
from typing import Any

import pytest
import pytest_asyncio

from domain.mqtt.topics import topics_of
from tests.conftest import ADMIN
from tests.mqtt import observer
from tests.mqtt.attacks import ATTACKS, Party, Target
from tests.mqtt.conftest import Fleet
from tests.mqtt.managed_mosquitto import SERVER_PASSWORD
from tests.mqtt.observer import Observer
from tests.support.waiting import until


async def party(fleet: Fleet, number: int) -> Party:
    found = await fleet.api.register(ADMIN, mac=f"24:6f:28:00:30:{number:02x}")
    topics = topics_of(found["device"]["topics"]["data"])
    return Party(found["device"]["id"], found["token"], fleet.port, topics)


async def connect(fleet: Fleet, party: Party, filter: str | None = None) -> Observer:
    """Retry until the broker accepts the token: Mosquitto needs a reload first."""
    client = await observer.open_observer(fleet.port, party.username, party.password)
    await client.subscribe(filter or party.topics.config, 1)
    return client


async def refused(fleet: Fleet, username: str, password: str) -> bool:
    port = fleet.second_port if username == "admin" else fleet.port
    async with Observer(port, username, password) as client:
        return client.refused is not None


@pytest_asyncio.fixture
async def target(fleet: Fleet) -> Target:
    embedded_password = fleet.api.app.state.broker._access.server_password
    embedded = fleet.settings.mqtt_url is None
    password = embedded_password if embedded else SERVER_PASSWORD
    server = Party("rollcall", password, fleet.second_port, topics_of("x"))
    target = Target("127.0.0.1", await party(fleet, 1), await party(fleet, 2), server)
    for one in (target.attacker, target.victim):
        await (await connect(fleet, one)).close()
    return target


async def test_all_attacks_are_blocked(target: Target) -> None:
    successes = {}
    for name, attack in ATTACKS.items():
        if found := await asyncio.to_thread(attack, target):
            successes[name] = found
    assert successes == {}


async def test_other_tokens_are_not_accepted_as_device_passwords(
    fleet: Fleet, target: Target
) -> None:
    viewer, key = await fleet.api.key(kind="VIEWER"), await fleet.api.key()
    for secret in (viewer, key, "", "x"):
        for name in (target.victim.username, "admin", "viewer", "rollcall", "admin-1", ""):
            assert await refused(fleet, name, secret), (name, secret)
    assert await refused(fleet, "rollcall", ADMIN)
    assert await refused(fleet, target.victim.username, ADMIN)
    assert await refused(fleet, "admin", target.victim.password)


async def test_admin_may_read_all_topics_and_publish_none(fleet: Fleet, target: Target) -> None:
    victim = target.victim
    device = await connect(fleet, victim)
    async with Observer(fleet.second_port, "admin", ADMIN) as tool:
        assert (await tool.subscribe("#")) != [128]
        await device.publish(victim.topics.data, "21")
        await until(lambda: tool.latest.get(victim.topics.data) == b"21")
        tool.client.publish(victim.topics.config, '{"v":9}', 1, retain=True)
        # Brokers reject the message in different ways, but none delivers it to the device.
        await fleet.api.change("updateConfig", deviceId=victim.username, qos=0)
        await until(lambda: device.config(victim.topics.data))
        await until(lambda: (device.config(victim.topics.data) or {})["v"] == 2)
    assert not [payload for _, payload in device.received if b'"v":9' in payload]
    await device.close()


async def revoked(fleet: Fleet, party: Party) -> None:
    query = "{ tokens(kind: DEVICE, first: 500) { nodes { id deviceId } } }"
    nodes = (await fleet.api.ask(query))["tokens"]["nodes"]
    [token] = [node["id"] for node in nodes if node["deviceId"] == party.username]
    await fleet.api.change("revokeToken", id=token)


async def deleted(fleet: Fleet, party: Party) -> None:
    await fleet.api.change("deleteDevice", id=party.username)


async def replaced(fleet: Fleet, party: Party) -> None:
    """Replace the token by a new one, and confirm the new one by its first use."""
    made = await fleet.api.change(
        "rotateDeviceToken", party.password, fields="token", id=party.username
    )
    await fleet.api.ask("{ me { id } }", made["token"])


@pytest.mark.parametrize("end", [revoked, deleted, replaced])
async def test_device_without_valid_token_is_disconnected(
    fleet: Fleet, target: Target, end: Any
) -> None:
    victim = target.victim
    client_of_victim, other = await connect(fleet, victim), await connect(fleet, target.attacker)
    await end(fleet, victim)
    await until(client_of_victim.ended.is_set)
    assert await refused(fleet, victim.username, victim.password)
    assert not other.ended.is_set()
    for client in (client_of_victim, other):
        await client.close()


async def receives(subscriber: Observer, publisher: Observer, topic: str) -> bool:
    await publisher.publish(topic, "21", retain=False)
    return topic in subscriber.latest


async def receives_nothing(subscriber: Observer, publisher: Observer, topic: str) -> bool:
    """Wait for the response to a later subscription: earlier messages would have arrived."""
    subscriber.received.clear()
    await publisher.publish(topic, "22", retain=False)
    await subscriber.subscribe("no/such/topic")
    return not subscriber.received


async def test_link_and_unlink_change_the_right_to_receive(fleet: Fleet, target: Target) -> None:
    listener, source = target.attacker, target.victim
    publisher = await connect(fleet, source)
    made = await fleet.api.change(
        "linkDevice", fields="link { id filter }", listenerId=listener.username, place="Paris"
    )
    subscriber = await connect(fleet, listener, made["link"]["filter"])
    await until(lambda: receives(subscriber, publisher, source.topics.data))
    await fleet.api.change("unlinkDevice", id=made["link"]["id"])
    await until(lambda: receives_nothing(subscriber, publisher, source.topics.data))
    for client in (subscriber, publisher):
        await client.close()


async def test_pending_token_has_no_rights(fleet: Fleet, target: Target) -> None:
    victim = target.victim
    await fleet.api.ask("{ me { id } }", victim.password)
    again = await fleet.api.register(await fleet.api.key(), mac="24:6f:28:00:30:02")
    assert again["outcome"] == "PENDING"
    assert await refused(fleet, victim.username, again["token"])
    assert not await refused(fleet, victim.username, victim.password)
