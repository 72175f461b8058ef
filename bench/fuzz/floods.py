"""Floods: many connections that hold what a server has to store for them."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from bench.fuzz import mqtt, websocket
from bench.fuzz.http import encoded, post
from bench.fuzz.message import Target

Parts = Sequence[bytes]
ADDRESSES = [f"127.0.{high}.{low}" for high in range(1, 9) for low in range(2, 102)]
CONNECT_SECONDS = 20.0
# Connections that are opened at the same time.
OPENING = 100


class Flood:
    """Connections from many addresses of 127.0.0.0/8. `opened`: those that were not refused."""

    def __init__(self, host: str, port: int, addresses: Sequence[str] = ADDRESSES) -> None:
        self._host, self._port = host, port
        self._addresses = itertools.cycle(addresses)
        self._writers: list[asyncio.StreamWriter] = []
        self._readers: list[asyncio.StreamReader] = []
        self._opening = asyncio.Semaphore(OPENING)

    @property
    def opened(self) -> int:
        return sum(not reader.at_eof() for reader in self._readers)

    async def open(self, count: int, parts: Callable[[int], Parts]) -> None:
        """Open connections. Each sends its parts, and reads something after all but the last."""
        await asyncio.gather(*(self._open(parts(number)) for number in range(count)))

    async def _open(self, parts: Parts) -> None:
        async with self._opening:
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(CONNECT_SECONDS):
                    reader, writer = await asyncio.open_connection(
                        self._host, self._port, local_addr=(next(self._addresses), 0), limit=2**10
                    )
                    self._readers.append(reader)
                    self._writers.append(writer)
                    for part in parts[:-1]:
                        writer.write(part)
                        await reader.read(2_000)
                    writer.write(parts[-1])
                    await writer.drain()

    def abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()
        self._readers.clear()


@asynccontextmanager
async def flood(
    target: Target, kind: "Kind", count: int, addresses: Sequence[str] = ADDRESSES
) -> AsyncIterator[Flood]:
    """Open the connections of a flood, and abort them at exit."""
    started = Flood(target.host, kind.port(target), addresses)
    try:
        await started.open(count, lambda number: kind.parts(target, number))
        yield started
    finally:
        started.abort()


class Kind:
    """A kind of flood. `rounds`: how often `count` connections are opened and aborted."""

    def __init__(
        self,
        parts: Callable[[Target, int], Parts],
        count: int,
        rounds: int = 1,
        *,
        over_mqtt: bool = False,
    ) -> None:
        self.parts, self.count, self.rounds = parts, count, rounds
        self._over_mqtt = over_mqtt

    def port(self, target: Target) -> int:
        return target.mqtt_port if self._over_mqtt else target.port


def _idle(_: Target, __: int) -> Parts:
    return [b""]


def _head(target: Target, _: int) -> Parts:
    return [post(target, "/graphql", b"", "Cookie: " + "x" * 30_000)[:-2]]


def _body(target: Target, _: int) -> Parts:
    body = encoded({"query": "x" * 250_000})
    return [post(target, "/graphql", body, token=target.tokens["admin"])[:-1]]


def _small_body(target: Target, _: int) -> Parts:
    return [post(target, "/graphql", encoded({"query": "x" * 15_000}))[:-1]]


def _broker_body(target: Target, _: int) -> Parts:
    body = encoded({"username": "x" * 14_000})
    return [post(target, "/mqtt/auth", body, token=target.tokens["admin"])[:-1]]


def _handshake(target: Target, _: int) -> Parts:
    return [websocket.handshake(target)]


def _frame(target: Target, _: int) -> Parts:
    whole = websocket.frame(b" " * 250_000)
    return [websocket.handshake(target), websocket.init(target.tokens["device"]), whole[:-1]]


def _frame_before_init(target: Target, _: int) -> Parts:
    return [websocket.handshake(target), websocket.frame(b" " * 250_000)[:-1]]


def _fragments(target: Target, _: int) -> Parts:
    fragment = websocket.frame(b"x" * 200, websocket.CONTINUATION, last=False) * 900
    first = websocket.frame(b"{", last=False)
    return [websocket.handshake(target), websocket.init(target.tokens["device"]), first + fragment]


def _operations(target: Target, number: int) -> Parts:
    frames = b"".join(
        websocket.frame(
            json.dumps(
                {
                    "type": "subscribe",
                    "id": str(n),
                    "payload": {"query": f"{{ a{number}: me {{ id }} {'#' * 2_000} }}"},
                }
            ).encode()
        )
        for n in range(100)
    )
    return [websocket.handshake(target), websocket.init(target.tokens["admin"]), frames]


def _unread_answers(target: Target, _: int) -> Parts:
    """Pipelined requests for whole pages; the answers are not read."""
    query = {"query": "{ devices(first: 300) { nodes { id owner measurementType firmware } } }"}
    request = post(target, "/graphql", encoded(query), token=target.tokens["admin"])
    return [request.replace(b"Connection: close\r\n", b"") * 20]


def _connect(_: Target, __: int) -> Parts:
    whole = mqtt.packet(mqtt.CONNECT, b"\0\4MQTT" + b"x" * 60_000)
    return [whole[:-1]]


def _publish(target: Target, number: int) -> Parts:
    user, token = "admin", target.tokens["admin"]
    whole = mqtt.publish(b"a/b/c", b"x" * 60_000)
    return [mqtt.connect(user, token, f"flood-{number}".encode()), whole[:-1]]


KINDS = {
    "idle connections": Kind(_idle, 3_500),
    "idle MQTT connections": Kind(_idle, 3_500, over_mqtt=True),
    "unfinished heads": Kind(_head, 3_500),
    "unfinished bodies": Kind(_body, 2_000),
    "small unfinished bodies": Kind(_small_body, 3_500),
    "unfinished bodies for brokers": Kind(_broker_body, 3_500),
    "handshakes": Kind(_handshake, 3_500),
    "unfinished frames": Kind(_frame, 1_000),
    "unfinished frames of strangers": Kind(_frame_before_init, 1_000, 3),
    "fragments": Kind(_fragments, 450, 3),
    "operations": Kind(_operations, 100, 3),
    "unread answers": Kind(_unread_answers, 400),
    "MQTT CONNECT": Kind(_connect, 3_500, over_mqtt=True),
    "MQTT PUBLISH": Kind(_publish, 1_000, over_mqtt=True),
}
