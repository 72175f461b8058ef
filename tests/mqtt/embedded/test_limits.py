"""Limits of the embedded broker, and its stop."""

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
    CONFIG,
    DISCONNECT,
    FREQUENT_CHECKS,
    GRANTED,
    LAMP,
    RESUMED,
    Paho,
    Raw,
    Users,
    connect,
    packet,
    publish,
    served,
    subscribe,
    text,
)
from tests.support.waiting import until

UNAVAILABLE = b"\x20\2\0\3"
# Seconds. Half of the time that the broker waits for a complete CONNECT.
STOP_SECONDS = FREQUENT_CHECKS.connect_seconds / 2


def test_port_in_use_raises() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=f"127.0.0.1:{port}: Address already in use"):
            listen("127.0.0.1", port)
    with pytest.raises(PortTaken, match="no-such-host"):
        listen("no-such-host.invalid", 0)


async def test_connection_limit() -> None:
    async with (
        served(Users(), replace(FREQUENT_CHECKS, connections=2)) as broker,
        Raw.to(broker.port, connect("lamp", "1")) as first,
        Raw.to(broker.port, connect("lamp", "2")) as second,
    ):
        await first.expect(ACCEPTED)
        await second.expect(ACCEPTED)
        async with Raw.to(broker.port, connect("lamp", "3")) as third:
            assert await third.rest() == b""
        second.writer.close()
        await until(lambda: _accepts_new_client(broker))


async def test_session_limit_per_user_name() -> None:
    async with (
        served(Users(), replace(FREQUENT_CHECKS, sessions=2)) as broker,
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


async def test_session_limit_removes_the_session_offline_for_longest() -> None:
    async with served(Users(), replace(FREQUENT_CHECKS, sessions=2)) as broker:
        for name in ("b", "a"):
            async with Raw.to(broker.port, connect("lamp", name, clean=False), DISCONNECT) as raw:
                assert await raw.rest() == ACCEPTED
            second = int(time.time())
            await until(lambda second=second: int(time.time()) > second)
        async with Raw.to(broker.port, connect("lamp", "c"), DISCONNECT) as raw:
            assert await raw.rest() == ACCEPTED
        for name, connack in (("a", RESUMED), ("b", ACCEPTED)):
            async with Raw.to(broker.port, connect("lamp", name, clean=False)) as raw:
                await raw.expect(connack)


async def test_filter_limits() -> None:
    async with (
        served(Users(), replace(FREQUENT_CHECKS, filters=3)) as broker,
        Paho(broker.port, "admin") as admin,
    ):
        assert await admin.subscribe("/".join(["a"] * 20_000), "/".join("a" * 65)) == [0x80] * 2
        assert await admin.subscribe("a", "b", "c", "d", "a") == [1, 1, 1, 0x80, 1]


async def test_packet_size_limit() -> None:
    async with served(Users()) as broker, Paho(broker.port, "admin") as admin:
        await admin.subscribe("#")
        largest = bytes(FREQUENT_CHECKS.packet_bytes - len(text(LAMP)))
        async with Raw.to(broker.port, connect("lamp"), publish(LAMP, largest)) as raw:
            await until(lambda: admin.received)
            assert admin.received == [(LAMP, largest)]
            raw.writer.write(publish(LAMP, largest + b"\0"))
            assert await raw.rest() == ACCEPTED


@pytest.mark.parametrize("qos", [0, 1])
async def test_subscriber_that_does_not_read_is_disconnected(
    qos: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        served(Users()) as broker,
        Paho(broker.port, "rollcall") as server,
        Raw.to(broker.port, connect("lamp"), subscribe(CONFIG, qos)) as slow,
    ):
        await slow.expect(ACCEPTED + GRANTED[:-1] + bytes([qos]))
        slow.writer.transport.pause_reading()
        sent = 0
        while len(_connected(broker)) == 2:
            await server.publish(CONFIG, bytes(60_000))
            sent += 1
            assert sent < 400
        async with Paho(broker.port, "lamp") as lamp:
            await lamp.subscribe(CONFIG)
            await server.publish(CONFIG, b"{}")
            await until(lambda: lamp.received)
    assert not caplog.records


async def test_limit_of_unacknowledged_messages() -> None:
    async with (
        served(Users(), replace(FREQUENT_CHECKS, unsent_messages=10)) as broker,
        Paho(broker.port, "rollcall") as server,
        Raw.to(broker.port, connect("lamp"), subscribe(CONFIG)) as silent,
    ):
        await silent.expect(ACCEPTED + GRANTED)
        for _ in range(11):
            await server.publish(CONFIG, b"{}")
        await silent.rest()


async def test_limit_of_unreleased_qos_2_messages() -> None:
    sent = [publish(LAMP, b"1", 2, number) for number in range(1, 12)]
    async with (
        served(Users(), replace(FREQUENT_CHECKS, unsent_messages=10)) as broker,
        Raw.to(broker.port, connect("lamp"), *sent) as raw,
    ):
        received = [b"\x50\2\0" + bytes([number]) for number in range(1, 11)]
        assert await raw.rest() == ACCEPTED + b"".join(received)


async def test_limit_of_queued_messages_of_offline_session() -> None:
    hello = connect("lamp", clean=False)
    async with (
        served(Users(), replace(FREQUENT_CHECKS, queued_messages=3)) as broker,
        Paho(broker.port, "rollcall") as server,
    ):
        async with Raw.to(broker.port, hello, subscribe(CONFIG), DISCONNECT) as raw:
            await raw.rest()
        for number in range(5):
            await server.publish(CONFIG, b"%d" % number)
        async with Raw.to(broker.port, hello) as raw:
            queued = [publish(CONFIG, b"%d" % number, 1, number + 1) for number in range(3)]
            await raw.expect(RESUMED, *queued)
            raw.writer.write(b"\xc0\0")
            await raw.expect(b"\xd0\0")


async def test_retained_messages_over_the_send_limits_are_all_delivered() -> None:
    async with (
        served(
            Users(), replace(FREQUENT_CHECKS, unsent_messages=150, unsent_bytes=300_000)
        ) as broker,
        Paho(broker.port, "rollcall") as server,
        Paho(broker.port, "admin") as admin,
    ):
        for number in range(400):
            server.client.publish(f"ann/{number}", bytes(1_000), qos=1, retain=True)
        await until(lambda: len(server.acknowledged) == 400)
        await admin.subscribe("ann/#")
        await until(lambda: len(admin.received) == 400)
        assert not admin.lost


async def test_keepalive_timeout_disconnects_and_publishes_will() -> None:
    status = f"{LAMP}/status"
    hello = connect("lamp", keepalive=1).replace(b"MQTT\4\xc2", b"MQTT\4\xc6")
    hello = packet(0x10, hello[2:17] + text(status) + text("offline") + hello[17:])
    async with (
        served(Users()) as broker,
        Paho(broker.port, "admin") as admin,
        Raw.to(broker.port, hello) as raw,
    ):
        await admin.subscribe("#")
        began = time.monotonic()
        assert await raw.rest() == ACCEPTED
        assert time.monotonic() - began > 1.4
        await until(lambda: admin.received)
        assert admin.received == [(status, b"offline")]


async def test_client_that_pings_stays_connected() -> None:
    """It pings often, because a busy machine may delay a ping."""
    async with (
        served(Users()) as broker,
        Raw.to(broker.port, connect("lamp", keepalive=2)) as lamp,
    ):
        await lamp.expect(ACCEPTED)
        began = time.monotonic()
        while time.monotonic() < began + 4:
            lamp.writer.write(b"\xc0\0")
            await lamp.expect(b"\xd0\0")
            await asyncio.sleep(0.1)


async def test_stops_with_clients_connected(caplog: pytest.LogCaptureFixture) -> None:
    """Wills are not published, and no task or socket remains."""
    before = asyncio.all_tasks()
    will = {"topic": f"{LAMP}/status", "payload": b"offline", "qos": 1}
    async with served(Users()) as broker:
        admin = Paho(broker.port, "admin")
        await admin.connect_reason()
        await admin.subscribe("#")
        clients = [Paho(broker.port, "lamp", str(number), will=will) for number in range(8)]
        for client in clients:
            await client.connect_reason()
        async with Raw.to(broker.port, connect("door")[:5]):
            began = time.monotonic()
    assert time.monotonic() - began < STOP_SECONDS
    await until(lambda: admin.lost and all(client.lost for client in clients))
    assert not admin.received
    assert asyncio.all_tasks() == before
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", broker.port)) != 0
    for client in (admin, *clients):
        await client.leave()
    assert not caplog.records


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_publish_to_dropped_subscribers_logs_nothing(
    run: Callable[[Coroutine[Any, Any, None]], None], caplog: pytest.LogCaptureFixture
) -> None:
    """On uvloop, as in production, writing to a closed connection is an error."""
    run(_publish_to_dropped_subscribers())
    assert not caplog.records


async def test_ordinary_events_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "rollcall")
    async with served(Users()) as broker, Paho(broker.port, "rollcall") as server:
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


async def _publish_to_dropped_subscribers() -> None:
    async with (
        served(Users()) as broker,
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


async def _accepts_new_client(broker: EmbeddedBroker) -> bool:
    async with Raw.to(broker.port, connect("lamp", "4")) as raw:
        return await raw.reader.read(4) == ACCEPTED
