"""A small ASGI application on a real port, and raw bytes to and from it."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from tests.support.waiting import WAIT_SECONDS, until

# Keys of a scope that differ between connections.
PER_CONNECTION = {"client", "server", "state", "asgi", "type"}


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Respond with the scope of the request and the length of its body."""
    shown = {key: str(value) for key, value in scope.items() if key not in PER_CONNECTION}
    if scope["type"] == "websocket":
        await _echo_messages(receive, send)
        return
    length, more = 0, True
    while more:
        message = await receive()
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = json.dumps({**shown, "length": length}).encode()
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _echo_messages(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


@asynccontextmanager
async def serving(app: Any = echo, **options: Any) -> AsyncIterator[tuple[uvicorn.Server, int]]:
    """Yield the server and its port. `options`: for `uvicorn.Config`."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    defaults = {
        "log_config": None,
        "access_log": False,
        "lifespan": "off",
        "server_header": False,
        "timeout_graceful_shutdown": 1,
    }
    server = uvicorn.Server(uvicorn.Config(app, **{**defaults, **options}))
    running = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        await until(lambda: server.started)
        yield server, listening.getsockname()[1]
    finally:
        server.should_exit = True
        async with asyncio.timeout(WAIT_SECONDS):
            await running


async def exchange(port: int, *pieces: bytes) -> bytes:
    """Send the pieces. Return all bytes until the server closes, without the Date header."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(0.02)
            return re.sub(rb"(?i)date: [^\r]+\r\n", b"", await reader.read())
    finally:
        writer.transport.abort()
