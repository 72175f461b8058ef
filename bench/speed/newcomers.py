"""New devices that register and boot, over keep-alive connections or one for each request."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import cast

from bench.speed.load import KEY

HEAD = (
    "POST /graphql HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    "Authorization: Bearer {token}\r\nConnection: {connection}\r\nContent-Length: {length}\r\n\r\n"
)
BODY = (
    '{{"documentId":"r","variables":{{"mac":"{mac:012x}","owner":"Owner 7","place":"Place {place}",'
    '"lat":48.85,"lon":2.35,"type":"Type {type}","model":"BME280","fw":"1.0"}}}}'
)
BOOT = '{"documentId":"b"}'
FIRST_MAC = 0x240AC4000000
PLACES, TYPES = 20, 5
# Source addresses without keep-alive: each has some 28,000 ports, which stay in TIME_WAIT for 60 s.
ADDRESSES = 8
TIMEOUT_SECONDS = 30


Numbered = Iterator[tuple[int, bytes]]
# Whether a response, which took so many milliseconds, is a success.
Check = Callable[[bytes, float], bool]


class NewDevices:
    """`times`: of each successful registration, in ms. `failed`: the responses that are no success,
    of registrations and boots. `connections`: at a time.
    """

    def __init__(
        self, address: tuple[str, int], count: int, connections: int, *, keep_alive: bool
    ) -> None:
        self._address = address
        self._count = count
        self._connections = connections
        self._keep_alive = keep_alive
        self._tokens: list[str] = []
        self.times: list[float] = []
        self.failed: list[str] = []

    async def register(self) -> float:
        """Return the seconds until the last device has its token."""
        return await self._send_all(self._registrations(), self._registered)

    async def boot(self) -> float:
        """Use each token for the first time. Return the seconds until the last response."""
        requests = (self._request(token, BOOT) for token in self._tokens)
        return await self._send_all(requests, self._booted)

    async def _send_all(self, requests: Iterator[bytes], check: Check) -> float:
        started = time.perf_counter()
        numbered = enumerate(requests)
        work = self._over_one_connection if self._keep_alive else self._over_many_connections
        async with asyncio.TaskGroup() as group:
            for _ in range(self._connections):
                group.create_task(work(numbered, check))
        return time.perf_counter() - started

    async def _over_one_connection(self, requests: Numbered, check: Check) -> None:
        socket = await self._connect()
        for _, request in requests:
            await self._send(socket, request, time.perf_counter(), check)
        socket.close()

    async def _over_many_connections(self, requests: Numbered, check: Check) -> None:
        for number, request in requests:
            started = time.perf_counter()
            socket = await self._connect(f"127.0.0.{2 + number % ADDRESSES}")
            await self._send(socket, request, started, check)
            socket.close()

    def _registrations(self) -> Iterator[bytes]:
        for number in range(self._count):
            body = BODY.format(
                mac=FIRST_MAC + number,
                place=1 + number % PLACES,
                type=1 + number // PLACES % TYPES,
            )
            yield self._request(KEY, body)

    def _request(self, token: str, body: str) -> bytes:
        connection = "keep-alive" if self._keep_alive else "close"
        head = HEAD.format(
            host=self._address[0], token=token, connection=connection, length=len(body)
        )
        return (head + body).encode()

    async def _connect(self, source: str | None = None) -> "_Socket":
        loop = asyncio.get_running_loop()
        local = (source, 0) if source else None
        return (await loop.create_connection(_Socket, *self._address, local_addr=local))[1]

    async def _send(self, socket: "_Socket", request: bytes, started: float, check: Check) -> None:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            response = await socket.send(request)
        if not check(response, (time.perf_counter() - started) * 1000):
            self.failed.append(repr(response))

    def _registered(self, response: bytes, milliseconds: float) -> bool:
        _, found, rest = response.partition(b'"token":"')
        if not found or b'"CREATED"' not in response:
            return False
        self._tokens.append(rest.partition(b'"')[0].decode())
        self.times.append(milliseconds)
        return True

    def _booted(self, response: bytes, _: float) -> bool:
        return b'"c":{"v":1,' in response


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
