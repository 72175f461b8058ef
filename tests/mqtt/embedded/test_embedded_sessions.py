from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from domain.mqtt.rights import device_rights
from mqtt.embedded import EmbeddedBroker
from tests.mqtt.embedded.broker import (
    ACCEPTED,
    DISCONNECT,
    Paho,
    People,
    Raw,
    connect,
    publish,
    served,
    subscribe,
    until,
)

LAMP = "ann/hall/light/lamp"
DOOR = "bob/hall/contact/door"
CONFIG = f"{LAMP}/config"
RESUMED = b"\x20\2\1\0"
GRANTED = b"\x90\3\0\1\1"


@pytest.fixture
def people() -> People:
    return People()


@pytest_asyncio.fixture
async def broker(people: People) -> AsyncIterator[EmbeddedBroker]:
    async with served(people) as broker:
        yield broker


@pytest_asyncio.fixture
async def server(broker: EmbeddedBroker) -> AsyncIterator[Paho]:
    async with Paho(broker.port, "rollcall") as server:
        yield server


async def test_a_client_id_is_of_one_user_name(broker: EmbeddedBroker, server: Paho) -> None:
    async with (
        Raw.to(broker.port, connect("lamp", "same", clean=False), subscribe(CONFIG)) as lamp,
        Raw.to(broker.port, connect("door", "same", clean=False)) as door,
    ):
        await lamp.expect(ACCEPTED + GRANTED)
        await door.expect(ACCEPTED)
        await server.publish(CONFIG, b"{}")
        await lamp.expect(publish(CONFIG, b"{}", 1))
        door.writer.write(b"\xc0\0")
        await door.expect(b"\xd0\0")


async def test_who_is_refused_leaves_the_session_alone(
    broker: EmbeddedBroker, server: Paho
) -> None:
    async with Raw.to(broker.port, connect("lamp"), subscribe(CONFIG)) as lamp:
        await lamp.expect(ACCEPTED + GRANTED)
        async with Raw.to(broker.port, connect("lamp").replace(b"secret", b"guess!")) as thief:
            assert await thief.rest() == b"\x20\2\0\5"
        await server.publish(CONFIG, b"{}")
        await lamp.expect(publish(CONFIG, b"{}", 1))


@pytest.mark.parametrize("clean", [True, False])
async def test_a_second_connection_ends_the_first(
    broker: EmbeddedBroker, server: Paho, clean: bool
) -> None:
    """Its will comes before anything the second says."""
    await server.subscribe("#")
    will = {"topic": f"{LAMP}/status", "payload": b"offline", "qos": 1}
    first = Paho(broker.port, "lamp", "same", will=will, clean_session=clean)
    await first.answered()
    async with Paho(broker.port, "lamp", "same", clean_session=clean) as second:
        await second.publish(f"{LAMP}/status", b"online")
        await until(lambda: first.lost and len(server.heard) == 2)
        await second.subscribe(CONFIG)
        await server.publish(CONFIG, b"{}")
        await until(lambda: second.heard)
    assert [payload for _, payload in server.heard[:2]] == [b"offline", b"online"]
    await first.leave()


async def test_many_at_once_leave_one(broker: EmbeddedBroker, server: Paho) -> None:
    clients = [Paho(broker.port, "lamp", "same") for _ in range(12)]
    await until(lambda: sum(client.lost for client in clients) == 11)
    (left,) = [client for client in clients if not client.lost]
    await left.answered()
    await left.subscribe(CONFIG)
    await server.publish(CONFIG, b"{}")
    await until(lambda: left.heard)
    for client in clients:
        await client.leave()


async def test_a_session_is_resumed_with_what_came_meanwhile(
    broker: EmbeddedBroker, server: Paho
) -> None:
    hello = connect("lamp", clean=False)
    async with Raw.to(broker.port, hello, subscribe(CONFIG), DISCONNECT) as first:
        assert await first.rest() == ACCEPTED + GRANTED
    await server.publish(CONFIG, b"1", qos=0)
    await server.publish(CONFIG, b"2")
    async with Raw.to(broker.port, hello) as second:
        await second.expect(RESUMED + publish(CONFIG, b"2", 1))
        await server.publish(CONFIG, b"3")
        await second.expect(publish(CONFIG, b"3", 1, 2))


async def test_what_was_not_acknowledged_is_sent_again(
    broker: EmbeddedBroker, server: Paho
) -> None:
    hello = connect("lamp", clean=False)
    async with Raw.to(broker.port, hello, subscribe(CONFIG)) as first:
        await first.expect(ACCEPTED + GRANTED)
        await server.publish(CONFIG, b"1")
        await first.expect(publish(CONFIG, b"1", 1))
    async with Raw.to(broker.port, hello) as second:
        await second.expect(RESUMED + publish(CONFIG, b"1", 1))


async def test_a_clean_session_is_not_resumed(broker: EmbeddedBroker) -> None:
    for clean in (True, False, True):
        async with Raw.to(broker.port, connect("lamp", clean=clean), DISCONNECT) as raw:
            assert await raw.rest() == ACCEPTED


async def test_a_session_keeps_no_filter_it_may_not_have(
    broker: EmbeddedBroker, people: People, server: Paho
) -> None:
    people.may["lamp"] = device_rights([LAMP], [DOOR])
    hello = connect("lamp", clean=False)
    async with Raw.to(broker.port, hello, subscribe(DOOR), subscribe(CONFIG), DISCONNECT) as first:
        assert await first.rest() == ACCEPTED + GRANTED * 2
    await server.publish(DOOR, b"kept before")
    people.may["lamp"] = device_rights([LAMP], [])
    async with Raw.to(broker.port, hello) as second:
        await second.expect(RESUMED)
        people.may["lamp"] = device_rights([LAMP], [DOOR])
        await broker.recheck()
        await server.publish(DOOR, b"after")
        await server.publish(CONFIG, b"{}")
        await second.expect(publish(CONFIG, b"{}", 1))


async def test_unsubscribing_ends_it(broker: EmbeddedBroker, server: Paho) -> None:
    async with Paho(broker.port, "admin") as admin:
        await admin.subscribe("ann/#", "bob/#")
        admin.client.unsubscribe("ann/#")
        await server.publish(DOOR, b"1")
        await until(lambda: admin.heard)
        await server.publish(LAMP, b"2")
        await server.publish(DOOR, b"3")
        await until(lambda: len(admin.heard) == 2)
    assert admin.heard == [(DOOR, b"1"), (DOOR, b"3")]
