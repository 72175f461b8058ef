from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from domain.mqtt.rights import Rights, device_rights
from mqtt.embedded import EmbeddedBroker
from tests.mqtt.embedded.broker import (
    ACCEPTED,
    DISCONNECT,
    SELDOM,
    Paho,
    People,
    Raw,
    connect,
    publish,
    served,
    subscribe,
)
from tests.support.waiting import until

REFUSED = 0x80
LAMP = "ann/hall/light/lamp"
DOOR = "bob/hall/contact/door"
WILL = {"topic": f"{LAMP}/status", "payload": b"offline", "qos": 1, "retain": True}


@pytest.fixture
def people() -> People:
    return People()


@pytest_asyncio.fixture
async def broker(people: People) -> AsyncIterator[EmbeddedBroker]:
    async with served(people) as broker:
        yield broker


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
async def test_drops_what_may_not_be_published(lamp: Paho, admin: Paho, qos: int) -> None:
    await lamp.publish(DOOR, b"forged", qos=qos, retain=True)
    await lamp.publish(f"{LAMP}/config", b"forged", qos=qos, retain=True)
    await lamp.publish(LAMP, b"1", qos=qos)
    await until(lambda: admin.heard)
    assert admin.heard == [(LAMP, b"1")]


async def test_retains_only_what_may_be_published(broker: EmbeddedBroker, lamp: Paho) -> None:
    await lamp.publish(DOOR, b"forged", retain=True)
    await lamp.publish(f"{LAMP}/state", b"3", retain=True)
    async with Paho(broker.port, "admin") as late:
        await late.subscribe("#")
        await until(lambda: late.heard)
        await lamp.publish(LAMP, b"1")
        await until(lambda: len(late.heard) > 1)
    assert late.heard == [(f"{LAMP}/state", b"3"), (LAMP, b"1")]
    assert [message.retain for message in late.messages] == [True, False]
    assert broker._broker
    (retained,) = broker._broker.retained_messages.values()
    assert retained.source_session is None


async def test_forgets_what_is_retained_as_nothing(broker: EmbeddedBroker, lamp: Paho) -> None:
    await lamp.publish(f"{LAMP}/state", b"3", retain=True)
    await lamp.publish(f"{LAMP}/state", b"", retain=True)
    async with Paho(broker.port, "admin") as late:
        await late.subscribe("#")
        await lamp.publish(LAMP, b"1")
        await until(lambda: late.heard)
    assert late.heard == [(LAMP, b"1")]


async def test_refuses_filters_one_by_one(lamp: Paho) -> None:
    others = ("#", f"{DOOR}/config", f"$share/group/{LAMP}/config", "$SYS/#", f"{LAMP}/#")
    assert await lamp.subscribe(f"{LAMP}/config", *others) == [1, *[REFUSED] * 5]


@pytest.mark.parametrize("filter", ["", "ann/#/lamp", "ann/+x", "$share/group/#", "a\0"])
async def test_refuses_what_is_no_filter(broker: EmbeddedBroker, filter: str) -> None:
    async with Raw.to(broker.port, connect("admin"), subscribe(filter)) as raw:
        await raw.expect(ACCEPTED, b"\x90\3\0\1\x80")


async def test_sends_nobody_what_others_are_subscribed_to(
    broker: EmbeddedBroker, admin: Paho, lamp: Paho
) -> None:
    """Who connects is sent all retained messages that anybody is subscribed to, by amqtt."""
    await lamp.publish(f"{LAMP}/state", b"3", retain=True)
    await until(lambda: admin.heard)
    async with Raw.to(broker.port, connect("door", clean=False), DISCONNECT) as raw:
        assert await raw.rest() == ACCEPTED


async def test_a_will_has_to_be_within_its_rights(broker: EmbeddedBroker) -> None:
    client = Paho(broker.port, "door", will=WILL)
    assert await client.answered() == "Not authorized"
    await client.leave()


async def test_a_will_is_published_for_who_vanishes(broker: EmbeddedBroker, admin: Paho) -> None:
    client = Paho(broker.port, "lamp", will=WILL)
    await client.answered()
    client.vanish()
    await until(lambda: admin.heard)
    assert admin.heard == [(f"{LAMP}/status", b"offline")]
    await client.leave()
    async with Paho(broker.port, "admin") as late:
        await late.subscribe(f"{LAMP}/status")
        await until(lambda: late.heard)


async def test_no_will_is_published_where_it_may_not_any_more(
    broker: EmbeddedBroker, people: People, admin: Paho
) -> None:
    client = Paho(broker.port, "lamp", will=WILL)
    await client.answered()
    people.may["lamp"] = device_rights([DOOR], [])
    await broker.recheck()
    await client.publish(DOOR, b"1")
    client.vanish()
    await client.leave()
    async with Paho(broker.port, "lamp") as lamp:
        await lamp.publish(DOOR, b"2")
    await until(lambda: len(admin.heard) > 1)
    assert admin.heard == [(DOOR, b"1"), (DOOR, b"2")]


async def test_no_will_is_published_for_who_disconnects(
    broker: EmbeddedBroker, admin: Paho, lamp: Paho
) -> None:
    async with Paho(broker.port, "lamp", will=WILL):
        pass
    await lamp.publish(LAMP, b"1")
    await until(lambda: admin.heard)
    assert admin.heard == [(LAMP, b"1")]


async def test_takes_all_that_comes_before_disconnect(broker: EmbeddedBroker, admin: Paho) -> None:
    sent = [publish(LAMP, b"%d" % number) for number in range(200)]
    async with Raw.to(broker.port, connect("lamp"), *sent, DISCONNECT) as raw:
        raw.writer.write_eof()
        assert await raw.rest() == ACCEPTED
    await until(lambda: len(admin.heard) == 200)
    assert [int(payload) for _, payload in admin.heard] == list(range(200))


async def test_what_it_may_not_receive_any_more_is_not_sent(
    broker: EmbeddedBroker, people: People, admin: Paho, lamp: Paho
) -> None:
    people.may["admin"] = Rights(read=("bob/#",))
    await broker.recheck()
    async with Paho(broker.port, "door") as door:
        await lamp.publish(LAMP, b"1")
        await door.publish(DOOR, b"2")
        await until(lambda: admin.heard)
    assert admin.heard == [(DOOR, b"2")]


async def test_a_new_right_holds_soon(people: People, lamp: Paho) -> None:
    assert await lamp.subscribe(DOOR) == [REFUSED]
    people.may["lamp"] = device_rights([LAMP], [DOOR])

    async def granted() -> bool:
        return await lamp.subscribe(DOOR) == [1]

    await until(granted)


async def test_asks_for_new_rights_before_it_refuses() -> None:
    """Not only once a second for all, which is seldom here."""
    people = People()
    async with (
        served(people, SELDOM) as broker,
        Paho(broker.port, "admin") as admin,
        Paho(broker.port, "lamp") as lamp,
        Paho(broker.port, "door") as door,
    ):
        await admin.subscribe("#")
        people.may["lamp"] = device_rights([LAMP], [DOOR])
        people.may["door"] = device_rights([DOOR, "bob/attic/contact/door"], [])
        assert await lamp.subscribe(DOOR) == [1]
        await door.publish("bob/attic/contact/door", b"1")
        await until(lambda: admin.heard)


async def test_refused_packets_are_no_queries() -> None:
    people = People()
    async with served(people, SELDOM) as broker, Paho(broker.port, "lamp") as lamp:
        for _ in range(50):
            await lamp.publish(DOOR, b"forged")
            await lamp.subscribe(DOOR)
    assert people.asks < 5


async def test_who_may_nothing_any_more_is_dropped_and_its_will_published(
    broker: EmbeddedBroker, people: People, admin: Paho
) -> None:
    client = Paho(broker.port, "lamp", will=WILL)
    await client.answered()
    del people.may["lamp"]
    await until(lambda: client.lost and admin.heard)
    assert admin.heard == [(f"{LAMP}/status", b"offline")]
    await client.leave()


async def test_the_absence_of_the_database_drops_nobody(
    broker: EmbeddedBroker, people: People, lamp: Paho, admin: Paho
) -> None:
    people.away = True
    await broker.recheck()
    await lamp.publish(DOOR, b"forged")
    await lamp.publish(LAMP, b"1")
    await until(lambda: admin.heard)
    assert admin.heard == [(LAMP, b"1")]


async def test_the_server_itself_may_all_and_is_not_asked_for(people: People) -> None:
    async with (
        served(people) as broker,
        Paho(broker.port, "rollcall") as server,
        Raw.to(broker.port, connect("lamp"), subscribe(f"{LAMP}/config")) as raw,
    ):
        await raw.expect(ACCEPTED + b"\x90\3\0\1\1")
        await server.publish(f"{LAMP}/config", b"{}", retain=True)
        await raw.expect(publish(f"{LAMP}/config", b"{}", 1))


async def test_sends_at_most_at_the_qos_it_was_published_with(lamp: Paho, admin: Paho) -> None:
    await lamp.publish(LAMP, b"0", qos=0)
    await lamp.publish(LAMP, b"2", qos=2)
    await until(lambda: len(admin.messages) == 2)
    assert [message.qos for message in admin.messages] == [0, 1]


async def test_sends_once_what_two_filters_match(lamp: Paho, admin: Paho) -> None:
    """At the higher QoS of the two."""
    await admin.subscribe("#", qos=0)
    await admin.subscribe(LAMP, qos=2)
    await admin.subscribe("ann/#", qos=1)
    await lamp.publish(LAMP, b"1", qos=2)
    await lamp.publish(f"{LAMP}/state", b"2", qos=2)
    await until(lambda: len(admin.messages) == 2)
    assert {message.payload: message.qos for message in admin.messages} == {b"1": 2, b"2": 1}


async def test_publishes_qos_2_once(broker: EmbeddedBroker, admin: Paho) -> None:
    async with Raw.to(broker.port, connect("lamp"), publish(LAMP, b"1", 2, 7)) as raw:
        await raw.expect(ACCEPTED + b"\x50\2\0\7")
        raw.writer.write(publish(LAMP, b"1", 2, 7) + b"\x62\2\0\7" + publish(LAMP, b"2", 2, 7))
        await raw.expect(b"\x50\2\0\7\x70\2\0\7\x50\2\0\7")
    await until(lambda: len(admin.heard) == 2)
    assert admin.heard == [(LAMP, b"1"), (LAMP, b"2")]
