"""Clients that vanish at any moment leave neither a traceback in the log nor anything running."""

import asyncio
import hmac
import json
import re
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import httpx
import pytest_asyncio

from bench.serving import ADMIN, Serving, ready, serving
from tests.support.waiting import WAIT_SECONDS, until

BOT_TOKEN = "123456:ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghi"
SECRET = hmac.new(BOT_TOKEN.encode(), b"webhook", "sha256").hexdigest()
CONCURRENCY = 16
# Closing a socket with this option sends RST.
ABORT = struct.pack("ii", 1, 0)
OPEN = ("rollcall_live_connections", "rollcall_live_subscriptions")
TRACES = ("Traceback", "Task exception was never retrieved", "Exception in", "socket.send()")

QUERY = json.dumps({"query": "{ devices { nodes { id } } }"}).encode()
INTROSPECTION = json.dumps({"query": "{ __schema { types { name description } } }"}).encode()
SUBSCRIPTION = json.dumps({"query": "subscription { configChanged { cursor } }"}).encode()
UPGRADE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: graphql-transport-ws"
)


def request(line: str, body: bytes = b"", *headers: bytes, chunked: bool = False) -> bytes:
    length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
    own = [b"Host: x", b"Authorization: Bearer %b" % ADMIN.encode(), *headers]
    head = [line.encode() + b" HTTP/1.1", *own, *([length] if body else [])]
    if chunked:
        half = len(body) // 2
        parts = [b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:half], body[half:])]
        body = b"".join(parts) + b"0\r\n\r\n"
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def frame(message: object) -> bytes:
    """Encode a text frame of a client, with a mask of zeros."""
    text = json.dumps(message).encode()
    assert len(text) < 126
    return b"\x81" + bytes([0x80 | len(text)]) + bytes(4) + text


JSON = b"Content-Type: application/json"
# ASGI handles it, because the fast path has no such type.
UNUSUAL = b'Content-Type: application/json; charset="utf-8"'
EVENTS = b"Accept: text/event-stream"
TELEGRAM = b"X-Telegram-Bot-Api-Secret-Token: " + SECRET.encode()
FAST = request("POST /graphql", QUERY, JSON)
ASGI = request("POST /graphql", QUERY, UNUSUAL)
STREAM = request("POST /graphql", SUBSCRIPTION, JSON, EVENTS)
WEBSOCKET = request("GET /graphql", b"", UPGRADE) + b"".join(
    frame(message)
    for message in (
        {"type": "connection_init"},
        {"type": "subscribe", "id": "1", "payload": json.loads(SUBSCRIPTION)},
        {"type": "subscribe", "id": "2", "payload": json.loads(QUERY)},
    )
)
SENT = {
    "fast path": FAST,
    "fast path, chunked": request("POST /graphql", QUERY, JSON, chunked=True),
    "fast path, large response": request("POST /graphql", INTROSPECTION, JSON),
    "fast path, large body": request("POST /graphql", b" " * 200_000 + QUERY, JSON),
    "asgi": ASGI,
    "asgi, chunked": request("POST /graphql", QUERY, UNUSUAL, chunked=True),
    "continue": request("POST /graphql", QUERY, JSON, b"Expect: 100-continue"),
    "events": STREAM,
    "events, pipelined": STREAM + FAST + ASGI,
    "rest": request("GET /devices"),
    "rest, body": request("POST /register", b'{"mac": "x"}', JSON),
    "rest, chunked": request("POST /register", b'{"mac": "x"}', JSON, chunked=True),
    "broker": request("POST /mqtt/auth", b'{"username": "x", "password": "y"}', JSON),
    "broker, chunked": request("POST /mqtt/auth", b'{"username": "x"}', JSON, chunked=True),
    "telegram": request("POST /telegram", b'{"update_id": 1}', JSON, TELEGRAM),
    "telegram, chunked": request(
        "POST /telegram", b'{"update_id": 1}', JSON, TELEGRAM, chunked=True
    ),
    "page": request("GET /graphiql"),
    "pipelined": (FAST + ASGI + request("GET /devices") + request("GET /openapi.json")) * 3,
    "pipelined, large": request("GET /openapi.json") * 100,
    "websocket": WEBSOCKET,
}


def offsets(sent: bytes) -> list[int]:
    """Return the ends of lines, the middle of lines and bodies, and the end."""
    ends = [found.end() for found in re.finditer(rb"\r\n", sent)]
    some = ends if len(ends) <= 40 else [*ends[:12], *ends[12 :: len(ends) // 20]]
    return sorted(
        {1, *some, *(end + 5 for end in some if end + 5 < len(sent)), len(sent) - 1, len(sent)}
    )


class Case(NamedTuple):
    """`cut`: the number of bytes that are sent. `answered`: wait for data before the end.

    `half`: close the sending side only, and read. Otherwise reset the connection.
    """

    name: str
    cut: int
    answered: bool
    half: bool


def cases() -> Iterator[Case]:
    for name, sent in SENT.items():
        for cut in offsets(sent):
            for half in (False, True):
                yield Case(name, cut, answered=False, half=half)
        yield Case(name, len(sent), answered=True, half=False)
        yield Case(name, len(sent), answered=True, half=True)


async def vanish(port: int, case: Case) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket() as client:
        client.setblocking(False)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
        await loop.sock_connect(client, ("127.0.0.1", port))
        await loop.sock_sendall(client, SENT[case.name][: case.cut])
        async with asyncio.timeout(WAIT_SECONDS):
            if case.answered:
                await loop.sock_recv(client, 100)
            if case.half:
                client.shutdown(socket.SHUT_WR)
                while await loop.sock_recv(client, 65_536):
                    pass


@pytest_asyncio.fixture
async def server(database_url: str) -> AsyncIterator[Serving]:
    telegram = {"TELEGRAM_BOT_TOKEN": BOT_TOKEN, "TELEGRAM_CHAT_ID": "1"}
    urls = {"API_URL": "http://127.0.0.1:9", "WEBHOOK_URL": "http://127.0.0.1:9/telegram"}
    environment = telegram | {f"TELEGRAM_{name}": url for name, url in urls.items()}
    with serving(database_url, environment=environment, log_level="debug") as server:
        yield server


async def test_clients_that_vanish_leave_nothing(server: Serving) -> None:
    url = await ready(server.output)
    port = httpx.URL(url).port
    assert port
    slots = asyncio.Semaphore(CONCURRENCY)

    async def run(case: Case) -> None:
        async with slots:
            try:
                await vanish(port, case)
            except ConnectionError:
                pass
            except BaseException as error:
                error.add_note(str(case))
                raise

    await asyncio.gather(*map(run, cases()))
    metrics = httpx.URL(url).copy_with(path="/metrics")
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {ADMIN}"}) as client:

        async def none_left() -> bool:
            lines = (await client.get(metrics)).text.splitlines()
            counts = [each for each in lines if each.startswith(OPEN)]
            assert len(counts) >= 2, lines
            return all(float(each.split()[-1]) == 0 for each in counts)

        await until(none_left)
    server.process.terminate()
    await until(lambda: server.process.poll() is not None)
    found = [
        line for line in server.output.read_text().splitlines() if any(t in line for t in TRACES)
    ]
    assert found == []
