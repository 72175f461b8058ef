"""Rights of clients of the embedded broker, wills, and QoS."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from domain.mqtt.rights import Rights, device_rights
from mqtt.embedded import EmbeddedBroker
from tests.mqtt.embedded.broker import (
    ACCEPTED,
    DISCONNECT,
    DOOR,
    LAMP,
    RARE_CHECKS,
    Paho,
    Raw,
    Users,
    connect,
    publish,
    served,
    subscribe,
)
from tests.support.waiting import until

REFUSED = 0x80
WILL = {"topic": f"{LAMP}/status", "payload": b"offline", "qos": 1, "retain": True}


@pytest_asyncio.fixture
async def lamp(broker: EmbeddedBroker) -> AsyncIterator[Paho]:
    async with Paho(broker.port, "lamp") as lamp:
        yield lamp


@pytest_asyncio.fixture
async def admin(broker: EmbeddedBroker) -> AsyncIterator[Paho]:
    async with Paho(broker.port, "admin") as admin:
        assert await admin.subscribe("#") == [1]
        yield admin


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_publish_without_right_is_dropped(lamp: Paho, admin: Paho, qos: int) -> None:
    await lamp.publish(DOOR, b"forged", qos=qos, retain=True)
    await lamp.publish(f"{LAMP}/config", b"forged", qos=qos, retain=True)
    await lamp.publish(LAMP, b"1", qos=qos)
    await until(lambda: admin.received)
    assert admin.received == [(LAMP, b"1")]


async def test_retained_publish_without_right_is_dropped(
    broker: EmbeddedBroker, lamp: Paho
) -> None:
    await lamp.publish(DOOR, b"forged", retain=True)
    await lamp.publish(f"{LAMP}/state", b"3", retain=True)
    async with Paho(broker.port, "admin") as late:
        await late.subscribe("#")
        await until(lambda: late.received)
        await lamp.publish(LAMP, b"1")
        await until(lambda: len(late.received) > 1)
    assert late.received == [(f"{LAMP}/state", b"3"), (LAMP, b"1")]
    assert [message.retain for message in late.messages] == [True, False]
    assert broker._broker
    (retained,) = broker._broker.retained_messages.values()
    assert retained.source_session is None


async def test_empty_retained_message_clears_the_topic(broker: EmbeddedBroker, lamp: Paho) -> None:
    await lamp.publish(f"{LAMP}/state", b"3", retain=True)
    await lamp.publish(f"{LAMP}/state", b"", retain=True)
    async with Paho(broker.port, "admin") as late:
        await late.subscribe("#")
        await lamp.publish(LAMP, b"1")
        await until(lambda: late.received)
    assert late.received == [(LAMP, b"1")]


async def test_subscribe_rejects_each_filter_separately(lamp: Paho) -> None:
    others = ("#", f"{DOOR}/config", f"$share/group/{LAMP}/config", "$SYS/#", f"{LAMP}/#")
    assert await lamp.subscribe(f"{LAMP}/config", *others) == [1, *[REFUSED] * 5]


@pytest.mark.parametrize("filter", ["", "ann/#/lamp", "ann/+x", "$share/group/#", "a\0"])
async def test_subscribe_rejects_invalid_filter(broker: EmbeddedBroker, filter: str) -> None:
    async with Raw.to(broker.port, connect("admin"), subscribe(filter)) as raw:
        await raw.expect(ACCEPTED, b"\x90\3\0\1\x80")


async def test_connect_sends_no_retained_messages_of_other_subscribers(
    broker: EmbeddedBroker, admin: Paho, lamp: Paho
) -> None:
    """Amqtt itself would send a new client all retained messages that have any subscriber."""
    await lamp.publish(f"{LAMP}/state", b"3", retain=True)
    await until(lambda: admin.received)
    async with Raw.to(broker.port, connect("door", clean=False), DISCONNECT) as raw:
        assert await raw.rest() == ACCEPTED


async def test_connect_with_will_without_right_is_rejected(broker: EmbeddedBroker) -> None:
    client = Paho(broker.port, "door", will=WILL)
    assert await client.connect_reason() == "Not authorized"
    await client.leave()


async def test_will_is_published_after_dropped_connection(
    broker: EmbeddedBroker, admin: Paho
) -> None:
    client = Paho(broker.port, "lamp", will=WILL)
    await client.connect_reason()
    client.drop_connection()
    await until(lambda: admin.received)
    assert admin.received == [(f"{LAMP}/status", b"offline")]
    await client.leave()
    async with Paho(broker.port, "admin") as late:
        await late.subscribe(f"{LAMP}/status")
        await until(lambda: late.received)


async def test_will_is_not_published_after_loss_of_the_right(
    broker: EmbeddedBroker, users: Users, admin: Paho
) -> None:
    client = Paho(broker.port, "lamp", will=WILL)
    await client.connect_reason()
    users.rights_of["lamp"] = device_rights([DOOR], [])
    await broker.recheck()
    await client.publish(DOOR, b"1")
    client.drop_connection()
    await client.leave()
    async with Paho(broker.port, "lamp") as lamp:
        await lamp.publish(DOOR, b"2")
    await until(lambda: len(admin.received) > 1)
    assert admin.received == [(DOOR, b"1"), (DOOR, b"2")]


async def test_will_is_not_published_after_disconnect(
    broker: EmbeddedBroker, admin: Paho, lamp: Paho
) -> None:
    async with Paho(broker.port, "lamp", will=WILL):
        pass
    await lamp.publish(LAMP, b"1")
    await until(lambda: admin.received)
    assert admin.received == [(LAMP, b"1")]


async def test_all_messages_before_disconnect_are_published(
    broker: EmbeddedBroker, admin: Paho
) -> None:
    sent = [publish(LAMP, b"%d" % number) for number in range(200)]
    async with Raw.to(broker.port, connect("lamp"), *sent, DISCONNECT) as raw:
        raw.writer.write_eof()
        assert await raw.rest() == ACCEPTED
    await until(lambda: len(admin.received) == 200)
    assert [int(payload) for _, payload in admin.received] == list(range(200))


async def test_subscriber_receives_nothing_after_loss_of_the_right(
    broker: EmbeddedBroker, users: Users, admin: Paho, lamp: Paho
) -> None:
    users.rights_of["admin"] = Rights(read=("bob/#",))
    await broker.recheck()
    async with Paho(broker.port, "door") as door:
        await lamp.publish(LAMP, b"1")
        await door.publish(DOOR, b"2")
        await until(lambda: admin.received)
    assert admin.received == [(DOOR, b"2")]


async def test_new_right_applies_after_check(users: Users, lamp: Paho) -> None:
    assert await lamp.subscribe(DOOR) == [REFUSED]
    users.rights_of["lamp"] = device_rights([LAMP], [DOOR])

    async def granted() -> bool:
        return await lamp.subscribe(DOOR) == [1]

    await until(granted)


async def test_rights_are_read_again_before_rejection() -> None:
    """Before a rejection, rights are read again. The periodic check does not run in this test."""
    users = Users()
    async with (
        served(users, RARE_CHECKS) as broker,
        Paho(broker.port, "admin") as admin,
        Paho(broker.port, "lamp") as lamp,
        Paho(broker.port, "door") as door,
    ):
        await admin.subscribe("#")
        users.rights_of["lamp"] = device_rights([LAMP], [DOOR])
        users.rights_of["door"] = device_rights([DOOR, "bob/attic/contact/door"], [])
        assert await lamp.subscribe(DOOR) == [1]
        await door.publish("bob/attic/contact/door", b"1")
        await until(lambda: admin.received)


async def test_rejected_packets_cause_few_rights_queries() -> None:
    users = Users()
    async with served(users, RARE_CHECKS) as broker, Paho(broker.port, "lamp") as lamp:
        for _ in range(50):
            await lamp.publish(DOOR, b"forged")
            await lamp.subscribe(DOOR)
    assert users.queries < 5


async def test_user_without_rights_is_disconnected_and_its_will_published(
    broker: EmbeddedBroker, users: Users, admin: Paho
) -> None:
    client = Paho(broker.port, "lamp", will=WILL)
    await client.connect_reason()
    del users.rights_of["lamp"]
    await until(lambda: client.lost and admin.received)
    assert admin.received == [(f"{LAMP}/status", b"offline")]
    await client.leave()


async def test_unavailable_database_disconnects_no_client(
    broker: EmbeddedBroker, users: Users, lamp: Paho, admin: Paho
) -> None:
    users.unavailable = True
    await broker.recheck()
    await lamp.publish(DOOR, b"forged")
    await lamp.publish(LAMP, b"1")
    await until(lambda: admin.received)
    assert admin.received == [(LAMP, b"1")]


async def test_server_account_has_all_rights_without_query(users: Users) -> None:
    async with (
        served(users) as broker,
        Paho(broker.port, "rollcall") as server,
        Raw.to(broker.port, connect("lamp"), subscribe(f"{LAMP}/config")) as raw,
    ):
        await raw.expect(ACCEPTED + b"\x90\3\0\1\1")
        await server.publish(f"{LAMP}/config", b"{}", retain=True)
        await raw.expect(publish(f"{LAMP}/config", b"{}", 1))


async def test_message_is_sent_with_at_most_its_published_qos(lamp: Paho, admin: Paho) -> None:
    await lamp.publish(LAMP, b"0", qos=0)
    await lamp.publish(LAMP, b"2", qos=2)
    await until(lambda: len(admin.messages) == 2)
    assert [message.qos for message in admin.messages] == [0, 1]


async def test_message_matching_two_filters_is_sent_once(lamp: Paho, admin: Paho) -> None:
    """The highest QoS of the matching filters counts."""
    await admin.subscribe("#", qos=0)
    await admin.subscribe(LAMP, qos=2)
    await admin.subscribe("ann/#", qos=1)
    await lamp.publish(LAMP, b"1", qos=2)
    await lamp.publish(f"{LAMP}/state", b"2", qos=2)
    await until(lambda: len(admin.messages) == 2)
    assert {message.payload: message.qos for message in admin.messages} == {b"1": 2, b"2": 1}


async def test_qos_2_message_is_published_once(broker: EmbeddedBroker, admin: Paho) -> None:
    async with Raw.to(broker.port, connect("lamp"), publish(LAMP, b"1", 2, 7)) as raw:
        await raw.expect(ACCEPTED + b"\x50\2\0\7")
        raw.writer.write(publish(LAMP, b"1", 2, 7) + b"\x62\2\0\7" + publish(LAMP, b"2", 2, 7))
        await raw.expect(b"\x50\2\0\7\x70\2\0\7\x50\2\0\7")
    await until(lambda: len(admin.received) == 2)
    assert admin.received == [(LAMP, b"1"), (LAMP, b"2")]
