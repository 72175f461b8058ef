"""Accepted, rejected and invalid CONNECTs, and invalid packets after a CONNECT."""

import random
from collections.abc import AsyncIterator
from dataclasses import replace

import paho.mqtt.client as paho
import pytest
import pytest_asyncio

from mqtt.embedded import EmbeddedBroker
from tests.mqtt.embedded.broker import (
    ACCEPTED,
    FREQUENT_CHECKS,
    PASSWORD,
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

LEVEL_5 = packet(0x10, text("MQTT") + b"\5\2\0\0\0" + text("raw"))
HOSTILE = {
    "HTTP": b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "another packet first": publish("ann/hall/light/lamp", b"1"),
    "another protocol": packet(0x10, text("AMQP") + b"\4\2\0\0" + text("raw")),
    "no body": b"\x10\0",
    "a length of five bytes": b"\x10\xff\xff\xff\xff\x01",
    "256 MB": b"\x10\xff\xff\xff\x7f" + b"x" * 1000,
    "flags": connect("lamp").replace(b"\x10", b"\x11", 1),
    "a reserved flag": connect("lamp").replace(b"MQTT\4\xc2", b"MQTT\4\xc3"),
    "a missing will": packet(0x10, text("MQTT") + b"\4\xc6\0\0" + text("raw")),
    "a missing user name": packet(0x10, text("MQTT") + b"\4\xc2\0\0" + text("raw")),
    "NUL": connect("la\0mp"),
    "text shorter than its length": packet(0x10, text("MQTT") + b"\4\xc2\0\0\xff\xffraw"),
}
HOSTILE_LATER = {
    "CONNECT again": connect("lamp"),
    "a reserved type": b"\xf0\0",
    "a server's packet": b"\x20\2\0\0",
    "256 MB": b"\x30\xff\xff\xff\x7f",
    "a length without end": b"\x30" + b"\xff" * 9,
    "flags": b"\x80" + subscribe("ann/hall/light/lamp/config")[1:],
    "QoS 3": packet(0x36, text("ann/hall/light/lamp") + b"\0\1x"),
    "a packet id of 0": publish("ann/hall/light/lamp", b"1", 1, 0),
    "no filter": packet(0x82, b"\0\1"),
    "a filter of QoS 7": subscribe("ann/hall/light/lamp/config", 7),
    "no packet id": b"\x40\0",
    "a topic longer than its packet": packet(0x30, b"\xff\xffann"),
}


@pytest_asyncio.fixture
async def short_timeout(users: Users) -> AsyncIterator[EmbeddedBroker]:
    """A broker that waits 0.3 s for a complete CONNECT: for clients that never complete it."""
    async with served(users, replace(FREQUENT_CHECKS, connect_seconds=0.3)) as broker:
        yield broker


async def test_accepts_user_name_and_password(broker: EmbeddedBroker) -> None:
    async with Paho(broker.port, "lamp"), Paho(broker.port, "admin"), Paho(broker.port, "rollcall"):
        pass


@pytest.mark.parametrize(
    ("username", "password"),
    [("lamp", "wrong"), ("unknown", PASSWORD), (None, None), ("lamp", None)],
)
async def test_rejects_wrong_or_missing_credentials(
    broker: EmbeddedBroker, username: str | None, password: str | None
) -> None:
    client = Paho(broker.port, username, password=password)
    assert await client.connect_reason() == "Not authorized"
    await client.leave()


async def test_rejects_user_without_rights(broker: EmbeddedBroker, users: Users) -> None:
    del users.rights_of["lamp"]
    client = Paho(broker.port, "lamp")
    assert await client.connect_reason() == "Not authorized"
    await client.leave()


async def test_reports_server_unavailable_without_database(
    broker: EmbeddedBroker, users: Users
) -> None:
    users.unavailable = True
    client = Paho(broker.port, "lamp")
    assert await client.connect_reason() == "Server unavailable"
    await client.leave()


async def test_rejects_other_protocol_versions(broker: EmbeddedBroker) -> None:
    for protocol in (paho.MQTTv5, paho.MQTTv31):
        client = Paho(broker.port, "lamp", protocol=protocol)
        assert await client.connect_reason() == "Unsupported protocol version"
        await client.leave()
    async with Raw.to(broker.port, LEVEL_5) as raw:
        assert await raw.rest() == b"\x20\3\0\x84\0"


async def test_rejects_persistent_session_without_client_id(broker: EmbeddedBroker) -> None:
    async with Raw.to(broker.port, connect("lamp", "", clean=False)) as raw:
        assert await raw.rest() == b"\x20\2\0\2"


@pytest.mark.parametrize("sent", [b"", b"\x10", connect("lamp")[:12]])
async def test_closes_connection_with_incomplete_connect(
    short_timeout: EmbeddedBroker, sent: bytes
) -> None:
    async with Raw.to(short_timeout.port, sent) as raw:
        assert await raw.rest() == b""


@pytest.mark.parametrize("sent", HOSTILE.values(), ids=HOSTILE.keys())
async def test_closes_connection_with_invalid_first_packet(
    short_timeout: EmbeddedBroker, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with Raw.to(short_timeout.port, sent) as raw:
        assert await raw.rest() == b""
    assert not caplog.records


@pytest.mark.parametrize("sent", HOSTILE_LATER.values(), ids=HOSTILE_LATER.keys())
async def test_closes_connection_with_invalid_later_packet(
    broker: EmbeddedBroker, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with Raw.to(broker.port, connect("lamp"), sent) as raw:
        assert await raw.rest() == ACCEPTED
    assert not caplog.records


async def test_survives_random_bytes(
    broker: EmbeddedBroker, caplog: pytest.LogCaptureFixture
) -> None:
    generator = random.Random(7)
    for _ in range(300):
        start = generator.choice([b"", connect("lamp"), connect("admin") + subscribe("#")])
        noise = packet(generator.randrange(256), generator.randbytes(generator.randrange(40)))
        async with Raw.to(
            broker.port, start, noise, generator.randbytes(generator.randrange(40))
        ) as raw:
            raw.writer.write_eof()
            await raw.rest()
    async with Paho(broker.port, "lamp") as lamp:
        await lamp.publish("ann/hall/light/lamp", b"1")
    assert not caplog.records
