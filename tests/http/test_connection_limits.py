"""Limits of open connections: of all, and of one address before it has shown a token."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from bench.fuzz import mqtt, websocket
from server.settings import Settings
from tests.conftest import ADMIN, changed
from tests.events.live.serving import Instance, instance
from tests.support.waiting import until

STRANGER = "127.0.9.9"
OTHER = "127.0.9.10"
PER_ADDRESS, TOTAL = 3, 10
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Clients:
    """Connections to one server, each from a chosen address."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._open: list[Connection] = []

    async def open(self, address: str) -> Connection:
        connection = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(address, 0))
        self._open.append(connection)
        return connection

    async def is_served(self, address: str, token: str | None = None) -> bool:
        return await self.asks(await self.open(address), token)

    async def asks(self, connection: Connection, token: str | None = None) -> bool:
        """Send a request. Return whether it gets a response from the application."""
        reader, writer = connection
        body = json.dumps({"query": "{ __typename }"})
        lines = [
            "POST /graphql HTTP/1.1",
            "Host: x",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            *([f"Authorization: Bearer {token}"] if token else []),
        ]
        writer.write(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"HTTP/1.1 503"):
            assert b"retry-after: 5" in head.lower()
            assert b"Too many connections" in await reader.read()
            return False
        assert head.startswith(b"HTTP/1.1 200")
        length = next(line for line in head.lower().split(b"\r\n") if b"content-length" in line)
        await reader.readexactly(int(length.split(b":")[1]))
        return True

    def close(self) -> None:
        for _, writer in self._open:
            writer.transport.abort()


@pytest_asyncio.fixture
async def one(settings: Settings) -> AsyncIterator[Instance]:
    limited = changed(settings, max_connections=TOTAL, max_connections_per_address=PER_ADDRESS)
    async with instance(limited) as one:
        yield one


@pytest_asyncio.fixture
async def clients(one: Instance) -> AsyncIterator[Clients]:
    clients = Clients(one.port)
    yield clients
    clients.close()


async def test_strangers_of_one_address_are_limited(clients: Clients) -> None:
    for _ in range(PER_ADDRESS):
        assert await clients.is_served(STRANGER)
    assert not await clients.is_served(STRANGER)
    assert await clients.is_served(OTHER)


async def test_valid_token_frees_the_place(clients: Clients) -> None:
    for _ in range(PER_ADDRESS + 2):
        assert await clients.is_served(STRANGER, ADMIN)
    for _ in range(PER_ADDRESS):
        assert await clients.is_served(STRANGER)
    assert not await clients.is_served(STRANGER)


async def test_closed_connection_frees_the_place(clients: Clients) -> None:
    opened = [await clients.open(STRANGER) for _ in range(PER_ADDRESS)]
    assert not await clients.is_served(STRANGER)
    opened[0][1].close()
    await until(lambda: clients.is_served(STRANGER))


async def test_all_connections_are_limited(clients: Clients) -> None:
    for number in range(TOTAL):
        assert await clients.is_served(f"127.0.8.{number + 1}", ADMIN)
    assert not await clients.is_served(OTHER, ADMIN)


async def test_addresses_of_proxies_are_not_limited(clients: Clients) -> None:
    for _ in range(PER_ADDRESS + 2):
        assert await clients.is_served("127.0.0.1")


async def test_websockets_of_strangers_are_limited(one: Instance, clients: Clients) -> None:
    target: Any = type("Target", (), {"host": "127.0.0.1", "port": one.port})
    for number in range(PER_ADDRESS + 2):
        reader, writer = await clients.open(STRANGER)
        writer.write(websocket.handshake(target))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101" if number < PER_ADDRESS else b"HTTP/1.1 503")
    reader, writer = await clients.open(OTHER)
    for _ in range(2):
        writer.write(websocket.handshake(target))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(websocket.init(ADMIN))
        assert b"connection_ack" in await reader.read(500)
        reader, writer = await clients.open(OTHER)


async def test_mqtt_connections_of_strangers_are_limited(settings: Settings) -> None:
    limited = changed(settings, mqtt="on", mqtt_port=0, max_connections_per_address=PER_ADDRESS)
    async with instance(limited) as one:
        port = one.api.app.state.broker.advertised_address.port
        clients = Clients(port)
        try:
            for number in range(PER_ADDRESS + 2):
                reader, _ = await clients.open(STRANGER)
                if number >= PER_ADDRESS:
                    assert await reader.read() == b""
            reader, writer = await clients.open(OTHER)
            writer.write(mqtt.connect("admin", ADMIN, b"tool"))
            assert await reader.readexactly(4) == b"\x20\2\0\0"
        finally:
            clients.close()
