import asyncio
import logging
import socket
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest
import uvloop

from mqtt.embedded import EmbeddedBroker, PortTaken, listen
from tests.mqtt.embedded.broker import (
    ACCEPTED,
    DISCONNECT,
    QUICK,
    Paho,
    People,
    Raw,
    connect,
    packet,
    publish,
    served,
    subscribe,
    text,
)
from tests.support.waiting import until

LAMP = "ann/hall/light/lamp"
CONFIG = f"{LAMP}/config"
GRANTED = b"\x90\3\0\1\1"
RESUMED = b"\x20\2\1\0"
UNAVAILABLE = b"\x20\2\0\3"
# Half of how long it waits for the rest of a CONNECT.
STOP_SECONDS = QUICK.connect_seconds / 2


def test_a_taken_port_is_noticed() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=f"127.0.0.1:{port}: Address already in use"):
            listen("127.0.0.1", port)
    with pytest.raises(PortTaken, match="no-such-host"):
        listen("no-such-host.invalid", 0)


async def test_connections() -> None:
    async with (
        served(People(), replace(QUICK, connections=2)) as broker,
        Raw.to(broker.port, connect("lamp", "1")) as first,
        Raw.to(broker.port, connect("lamp", "2")) as second,
    ):
        await first.expect(ACCEPTED)
        await second.expect(ACCEPTED)
        async with Raw.to(broker.port, connect("lamp", "3")) as third:
            assert await third.rest() == b""
        second.writer.close()
        await until(lambda: _let_in(broker))


async def test_sessions_of_a_user_name() -> None:
    async with (
        served(People(), replace(QUICK, sessions=2)) as broker,
        Raw.to(broker.port, connect("lamp", "1", clean=False)) as first,
        Raw.to(broker.port, connect("lamp", "2")) as second,
        Raw.to(broker.port, connect("door", "3")) as other,
    ):
        for raw in (first, second, other):
            await raw.expect(ACCEPTED)
        async with Raw.to(broker.port, connect("lamp", "3")) as third:
            assert await third.rest() == UNAVAILABLE
        first.writer.write(DISCONNECT)
        assert await first.rest() == b""
        async with Raw.to(broker.port, connect("lamp", "3")) as third:
            await third.expect(ACCEPTED)


async def test_the_session_that_is_away_longest_makes_room() -> None:
    async with served(People(), replace(QUICK, sessions=2)) as broker:
        for name in ("b", "a"):
            async with Raw.to(broker.port, connect("lamp", name, clean=False), DISCONNECT) as raw:
                assert await raw.rest() == ACCEPTED
            left = int(time.time())
            await until(lambda left=left: int(time.time()) > left)
        async with Raw.to(broker.port, connect("lamp", "c"), DISCONNECT) as raw:
            assert await raw.rest() == ACCEPTED
        for name, answer in (("a", RESUMED), ("b", ACCEPTED)):
            async with Raw.to(broker.port, connect("lamp", name, clean=False)) as raw:
                await raw.expect(answer)


async def test_filters() -> None:
    async with (
        served(People(), replace(QUICK, filters=3)) as broker,
        Paho(broker.port, "admin") as admin,
    ):
        assert await admin.subscribe("/".join(["a"] * 20_000), "/".join("a" * 65)) == [0x80] * 2
        assert await admin.subscribe("a", "b", "c", "d", "a") == [1, 1, 1, 0x80, 1]


async def test_the_size_of_a_packet() -> None:
    async with served(People()) as broker, Paho(broker.port, "admin") as admin:
        await admin.subscribe("#")
        largest = bytes(QUICK.packet_bytes - len(text(LAMP)))
        async with Raw.to(broker.port, connect("lamp"), publish(LAMP, largest)) as raw:
            await until(lambda: admin.heard)
            assert admin.heard == [(LAMP, largest)]
            raw.writer.write(publish(LAMP, largest + b"\0"))
            assert await raw.rest() == ACCEPTED


@pytest.mark.parametrize("qos", [0, 1])
async def test_who_does_not_read_is_cut_off(qos: int, caplog: pytest.LogCaptureFixture) -> None:
    async with (
        served(People()) as broker,
        Paho(broker.port, "rollcall") as server,
        Raw.to(broker.port, connect("lamp"), subscribe(CONFIG, qos)) as deaf,
    ):
        await deaf.expect(ACCEPTED + GRANTED[:-1] + bytes([qos]))
        deaf.writer.transport.pause_reading()
        sent = 0
        while len(_connected(broker)) == 2:
            await server.publish(CONFIG, bytes(60_000))
            sent += 1
            assert sent < 400
        async with Paho(broker.port, "lamp") as lamp:
            await lamp.subscribe(CONFIG)
            await server.publish(CONFIG, b"{}")
            await until(lambda: lamp.heard)
    assert not caplog.records


async def test_messages_without_acknowledgement() -> None:
    async with (
        served(People(), replace(QUICK, unsent_messages=10)) as broker,
        Paho(broker.port, "rollcall") as server,
        Raw.to(broker.port, connect("lamp"), subscribe(CONFIG)) as mute,
    ):
        await mute.expect(ACCEPTED + GRANTED)
        for _ in range(11):
            await server.publish(CONFIG, b"{}")
        await mute.rest()


async def test_messages_without_release() -> None:
    sent = [publish(LAMP, b"1", 2, number) for number in range(1, 12)]
    async with (
        served(People(), replace(QUICK, unsent_messages=10)) as broker,
        Raw.to(broker.port, connect("lamp"), *sent) as raw,
    ):
        received = [b"\x50\2\0" + bytes([number]) for number in range(1, 11)]
        assert await raw.rest() == ACCEPTED + b"".join(received)


async def test_messages_for_who_is_away() -> None:
    hello = connect("lamp", clean=False)
    async with (
        served(People(), replace(QUICK, kept_messages=3)) as broker,
        Paho(broker.port, "rollcall") as server,
    ):
        async with Raw.to(broker.port, hello, subscribe(CONFIG), DISCONNECT) as raw:
            await raw.rest()
        for number in range(5):
            await server.publish(CONFIG, b"%d" % number)
        async with Raw.to(broker.port, hello) as raw:
            kept = [publish(CONFIG, b"%d" % number, 1, number + 1) for number in range(3)]
            await raw.expect(RESUMED, *kept)
            raw.writer.write(b"\xc0\0")
            await raw.expect(b"\xd0\0")


async def test_more_retained_messages_than_fit_at_once() -> None:
    async with (
        served(People(), replace(QUICK, unsent_messages=150, unsent_bytes=300_000)) as broker,
        Paho(broker.port, "rollcall") as server,
        Paho(broker.port, "admin") as admin,
    ):
        for number in range(400):
            server.client.publish(f"ann/{number}", bytes(1_000), qos=1, retain=True)
        await until(lambda: len(server.acknowledged) == 400)
        await admin.subscribe("ann/#")
        await until(lambda: len(admin.heard) == 400)
        assert not admin.lost


async def test_a_silent_client_is_dropped_and_its_will_published() -> None:
    status = f"{LAMP}/status"
    hello = connect("lamp", keepalive=1).replace(b"MQTT\4\xc2", b"MQTT\4\xc6")
    hello = packet(0x10, hello[2:17] + text(status) + text("offline") + hello[17:])
    async with (
        served(People()) as broker,
        Paho(broker.port, "admin") as admin,
        Raw.to(broker.port, hello) as raw,
    ):
        await admin.subscribe("#")
        began = time.monotonic()
        assert await raw.rest() == ACCEPTED
        assert time.monotonic() - began > 1.4
        await until(lambda: admin.heard)
        assert admin.heard == [(status, b"offline")]


async def test_a_client_that_pings_stays() -> None:
    """Often, since a busy machine may be late with one."""
    async with (
        served(People()) as broker,
        Raw.to(broker.port, connect("lamp", keepalive=2)) as lamp,
    ):
        await lamp.expect(ACCEPTED)
        began = time.monotonic()
        while time.monotonic() < began + 4:
            lamp.writer.write(b"\xc0\0")
            await lamp.expect(b"\xd0\0")
            await asyncio.sleep(0.1)


async def test_stops_with_clients_connected(caplog: pytest.LogCaptureFixture) -> None:
    """Without their wills, and leaves no task and no socket."""
    before = asyncio.all_tasks()
    will = {"topic": f"{LAMP}/status", "payload": b"offline", "qos": 1}
    async with served(People()) as broker:
        admin = Paho(broker.port, "admin")
        await admin.answered()
        await admin.subscribe("#")
        clients = [Paho(broker.port, "lamp", str(number), will=will) for number in range(8)]
        for client in clients:
            await client.answered()
        async with Raw.to(broker.port, connect("door")[:5]):
            began = time.monotonic()
    assert time.monotonic() - began < STOP_SECONDS
    await until(lambda: admin.lost and all(client.lost for client in clients))
    assert not admin.heard
    assert asyncio.all_tasks() == before
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", broker.port)) != 0
    for client in (admin, *clients):
        await client.leave()
    assert not caplog.records


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_hearers_that_vanish_are_nothing_to_who_publishes(
    run: Callable[[Coroutine[Any, Any, None]], None], caplog: pytest.LogCaptureFixture
) -> None:
    """On uvloop, as in production, it is an error to write to them."""
    run(_publish_to_who_vanishes())
    assert not caplog.records


async def test_ordinary_events_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "rollcall")
    async with served(People()) as broker, Paho(broker.port, "rollcall") as server:
        async with Raw.to(broker.port, connect("lamp", clean=False), subscribe(CONFIG)) as raw:
            await raw.expect(ACCEPTED, GRANTED)
            await server.publish(CONFIG, b"{}")
            await raw.expect(publish(CONFIG, b"{}", 1))
            raw.writer.write(b"\x40\2\0\1" * 2 + b"\x50\2\0\7\x70\2\0\7\x62\2\0\7")
            await raw.expect(b"\x70\2\0\7")
        async with Raw.to(broker.port, connect("lamp", clean=False)) as raw:
            await raw.expect(RESUMED)
        await server.publish(CONFIG, b"{}", qos=1)
    assert not caplog.records


async def _publish_to_who_vanishes() -> None:
    async with (
        served(People()) as broker,
        Raw.to(broker.port, connect("rollcall")) as server,
    ):
        await server.expect(ACCEPTED)
        for _ in range(60):
            async with Raw.to(broker.port, connect("lamp"), subscribe(CONFIG, 0)) as raw:
                await raw.expect(ACCEPTED + GRANTED[:-1] + b"\0")
                server.writer.write(publish(CONFIG, b"{}") * 20)
            server.writer.write(publish(CONFIG, b"{}") * 20 + b"\xc0\0")
            await server.expect(b"\xd0\0")


def _connected(broker: EmbeddedBroker) -> list[str]:
    assert broker._broker
    return [client.client_id for client in broker._broker.clients]


async def _let_in(broker: EmbeddedBroker) -> bool:
    async with Raw.to(broker.port, connect("lamp", "4")) as raw:
        return await raw.reader.read(4) == ACCEPTED
