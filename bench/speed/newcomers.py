"""New devices that register, over keep-alive connections or one connection for each device."""

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
# Source addresses without keep-alive: each has some 28,000 ports, which stay in TIME_WAIT for 60 s.
ADDRESSES = 8
TIMEOUT_SECONDS = 30


class NewDevices:
    """`times`: of each successful registration, in ms. `failed`: the responses to the others."""

    def __init__(self, address: tuple[str, int], count: int) -> None:
        self._address = address
        self._numbers = iter(range(count))
        self.times: list[float] = []
        self.failed: list[str] = []

    async def register(self, connections: int, *, keep_alive: bool) -> float:
        """Seconds until the last device has its token, with so many connections at a time."""
        started = time.perf_counter()
        work = self._over_one_connection if keep_alive else self._over_many_connections
        async with asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(work())
        return time.perf_counter() - started

    async def _over_one_connection(self) -> None:
        socket = await self._connect()
        for _, request in self._requests("keep-alive"):
            await self._send(socket, request, time.perf_counter())
        socket.close()

    async def _over_many_connections(self) -> None:
        for number, request in self._requests("close"):
            started = time.perf_counter()
            socket = await self._connect(f"127.0.0.{2 + number % ADDRESSES}")
            await self._send(socket, request, started)
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

    async def _connect(self, source: str | None = None) -> "_Socket":
        loop = asyncio.get_running_loop()
        local = (source, 0) if source else None
        return (await loop.create_connection(_Socket, *self._address, local_addr=local))[1]

    async def _send(self, socket: "_Socket", request: bytes, started: float) -> None:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            response = await socket.send(request)
        if b'"CREATED"' in response and b'"token":"rcd_' in response:
            self.times.append((time.perf_counter() - started) * 1000)
        else:
            self.failed.append(repr(response))


class _Socket(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not subclasses of asyncio.Transport.
        self._transport = cast("asyncio.Transport", transport)
        self._buffer = b""
        self._response: asyncio.Future[bytes] | None = None

    def send(self, request: bytes) -> "asyncio.Future[bytes]":
        """Returns the response, with its head."""
        self._response = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._response

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if found and self._response and len(body) == _length(head):
            self._response.set_result(self._buffer)
            self._buffer, self._response = b"", None

    def connection_lost(self, error: Exception | None) -> None:
        if self._response:
            self._response.set_result(f"closed: {error}".encode() + self._buffer)
            self._response = None

    def close(self) -> None:
        self._transport.close()


def _length(head: bytes) -> int:
    _, _, after = head.lower().partition(b"content-length:")
    return int(after.partition(b"\r\n")[0])
