"""Devices that nobody knows, and ask for their first token over a socket of their own or a shared
one.
"""

import asyncio
import time
from collections.abc import Iterator
from typing import cast

from bench.speed.load import KEY

HEAD = (
    "POST /graphql HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    "Authorization: Bearer {key}\r\nConnection: {connection}\r\nContent-Length: {length}\r\n\r\n"
)
BODY = (
    '{{"documentId":"r","variables":{{"mac":"{mac:012x}","owner":"Owner 7","place":"Place {place}",'
    '"lat":48.85,"lon":2.35,"type":"Type {type}","model":"BME280","fw":"1.0"}}}}'
)
FIRST_MAC = 0x240AC4000000
PLACES, TYPES = 20, 5
# Sources for connections that are not kept: each has some 28,000 ports, closed ones rest a minute.
ADDRESSES = 8
SECONDS = 30


class Newcomers:
    """`times`: of each that has its token, in ms; `failed`: what the others were told."""

    def __init__(self, address: tuple[str, int], count: int) -> None:
        self._address = address
        self._numbers = iter(range(count))
        self.times: list[float] = []
        self.failed: list[str] = []

    async def come(self, connections: int, *, kept: bool) -> float:
        """Seconds until the last has its token, with so many at a time."""
        began = time.perf_counter()
        work = self._over_one if kept else self._over_many
        async with asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(work())
        return time.perf_counter() - began

    async def _over_one(self) -> None:
        socket = await self._connected()
        for _, request in self._requests("keep-alive"):
            await self._ask(socket, request, time.perf_counter())
        socket.close()

    async def _over_many(self) -> None:
        for number, request in self._requests("close"):
            began = time.perf_counter()
            socket = await self._connected(f"127.0.0.{2 + number % ADDRESSES}")
            await self._ask(socket, request, began)
            socket.close()

    def _requests(self, connection: str) -> Iterator[tuple[int, bytes]]:
        for number in self._numbers:
            body = BODY.format(
                mac=FIRST_MAC + number,
                place=1 + number % PLACES,
                type=1 + number // PLACES % TYPES,
            )
            head = HEAD.format(
                host=self._address[0], key=KEY, connection=connection, length=len(body)
            )
            yield number, (head + body).encode()

    async def _connected(self, source: str | None = None) -> "_Socket":
        loop = asyncio.get_running_loop()
        local = (source, 0) if source else None
        return (await loop.create_connection(_Socket, *self._address, local_addr=local))[1]

    async def _ask(self, socket: "_Socket", request: bytes, began: float) -> None:
        async with asyncio.timeout(SECONDS):
            answer = await socket.ask(request)
        if b'"CREATED"' in answer and b'"token":"rcd_' in answer:
            self.times.append((time.perf_counter() - began) * 1000)
        else:
            self.failed.append(repr(answer))


class _Socket(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are no subclasses.
        self._transport = cast("asyncio.Transport", transport)
        self._kept = b""
        self._answer: asyncio.Future[bytes] | None = None

    def ask(self, request: bytes) -> "asyncio.Future[bytes]":
        """What came back, with its head."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._kept += data
        head, found, body = self._kept.partition(b"\r\n\r\n")
        if found and self._answer and len(body) == _length(head):
            self._answer.set_result(self._kept)
            self._kept, self._answer = b"", None

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer:
            self._answer.set_result(f"closed: {error}".encode() + self._kept)
            self._answer = None

    def close(self) -> None:
        self._transport.close()


def _length(head: bytes) -> int:
    _, _, after = head.lower().partition(b"content-length:")
    return int(after.partition(b"\r\n")[0])
