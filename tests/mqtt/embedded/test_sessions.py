"""Sessions of the embedded broker: client ids, resumption and queued messages."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from domain.mqtt.rights import device_rights
from mqtt.embedded import EmbeddedBroker
from tests.mqtt.embedded.broker import (
    ACCEPTED,
    CONFIG,
    DISCONNECT,
    DOOR,
    GRANTED,
    LAMP,
    RESUMED,
    Paho,
    Raw,
    Users,
    connect,
    publish,
    subscribe,
)
from tests.support.waiting import until


@pytest_asyncio.fixture
async def server(broker: EmbeddedBroker) -> AsyncIterator[Paho]:
    async with Paho(broker.port, "rollcall") as server:
        yield server


async def test_same_client_id_of_two_users_is_two_sessions(
    broker: EmbeddedBroker, server: Paho
) -> None:
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


async def test_rejected_connect_keeps_the_running_session(
    broker: EmbeddedBroker, server: Paho
) -> None:
    async with Raw.to(broker.port, connect("lamp"), subscribe(CONFIG)) as lamp:
        await lamp.expect(ACCEPTED + GRANTED)
        async with Raw.to(broker.port, connect("lamp").replace(b"secret", b"guess!")) as attacker:
            assert await attacker.rest() == b"\x20\2\0\5"
        await server.publish(CONFIG, b"{}")
        await lamp.expect(publish(CONFIG, b"{}", 1))


@pytest.mark.parametrize("clean", [True, False])
async def test_second_connection_ends_the_first(
    broker: EmbeddedBroker, server: Paho, clean: bool
) -> None:
    """The will of the first arrives before any message of the second."""
    await server.subscribe("#")
    will = {"topic": f"{LAMP}/status", "payload": b"offline", "qos": 1}
    first = Paho(broker.port, "lamp", "same", will=will, clean_session=clean)
    await first.connect_reason()
    async with Paho(broker.port, "lamp", "same", clean_session=clean) as second:
        await second.publish(f"{LAMP}/status", b"online")
        await until(lambda: first.lost and len(server.received) == 2)
        await second.subscribe(CONFIG)
        await server.publish(CONFIG, b"{}")
        await until(lambda: second.received)
    assert [payload for _, payload in server.received[:2]] == [b"offline", b"online"]
    await first.leave()


async def test_concurrent_connections_of_one_client_id_leave_one(
    broker: EmbeddedBroker, server: Paho
) -> None:
    clients = [Paho(broker.port, "lamp", "same") for _ in range(12)]
    await until(lambda: sum(client.lost for client in clients) == 11)
    (remaining,) = [client for client in clients if not client.lost]
    await remaining.connect_reason()
    await remaining.subscribe(CONFIG)
    await server.publish(CONFIG, b"{}")
    await until(lambda: remaining.received)
    for client in clients:
        await client.leave()


async def test_resumed_session_delivers_queued_messages(
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


async def test_unacknowledged_message_is_sent_again(broker: EmbeddedBroker, server: Paho) -> None:
    hello = connect("lamp", clean=False)
    async with Raw.to(broker.port, hello, subscribe(CONFIG)) as first:
        await first.expect(ACCEPTED + GRANTED)
        await server.publish(CONFIG, b"1")
        await first.expect(publish(CONFIG, b"1", 1))
    async with Raw.to(broker.port, hello) as second:
        await second.expect(RESUMED + publish(CONFIG, b"1", 1))


async def test_clean_session_is_not_resumed(broker: EmbeddedBroker) -> None:
    for clean in (True, False, True):
        async with Raw.to(broker.port, connect("lamp", clean=clean), DISCONNECT) as raw:
            assert await raw.rest() == ACCEPTED


async def test_resumed_session_loses_filters_without_right(
    broker: EmbeddedBroker, users: Users, server: Paho
) -> None:
    users.rights_of["lamp"] = device_rights([LAMP], [DOOR])
    hello = connect("lamp", clean=False)
    async with Raw.to(broker.port, hello, subscribe(DOOR), subscribe(CONFIG), DISCONNECT) as first:
        assert await first.rest() == ACCEPTED + GRANTED * 2
    await server.publish(DOOR, b"queued before")
    users.rights_of["lamp"] = device_rights([LAMP], [])
    async with Raw.to(broker.port, hello) as second:
        await second.expect(RESUMED)
        users.rights_of["lamp"] = device_rights([LAMP], [DOOR])
        await broker.recheck()
        await server.publish(DOOR, b"after")
        await server.publish(CONFIG, b"{}")
        await second.expect(publish(CONFIG, b"{}", 1))


async def test_unsubscribe_ends_delivery(broker: EmbeddedBroker, server: Paho) -> None:
    async with Paho(broker.port, "admin") as admin:
        await admin.subscribe("ann/#", "bob/#")
        admin.client.unsubscribe("ann/#")
        await server.publish(DOOR, b"1")
        await until(lambda: admin.received)
        await server.publish(LAMP, b"2")
        await server.publish(DOOR, b"3")
        await until(lambda: len(admin.received) == 2)
    assert admin.received == [(DOOR, b"1"), (DOOR, b"3")]
