"""A small ASGI application behind a protocol class, on a real port, and bytes to and from it."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from tests.support.waiting import WAIT_SECONDS, until

# What differs from one connection to the next.
OWN = {"client", "server", "state", "asgi", "type"}


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with what the server said of the request, and with its body's length."""
    known = {key: str(value) for key, value in scope.items() if key not in OWN}
    if scope["type"] == "websocket":
        await _echo_messages(receive, send)
        return
    length, more = 0, True
    while more:
        message = await receive()
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = json.dumps({**known, "length": length}).encode()
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
    """The server and its port. `options`: of `uvicorn.Config`."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    usual = {
        "log_config": None,
        "access_log": False,
        "lifespan": "off",
        "server_header": False,
        "timeout_graceful_shutdown": 1,
    }
    server = uvicorn.Server(uvicorn.Config(app, **{**usual, **options}))
    running = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        await until(lambda: server.started)
        yield server, listening.getsockname()[1]
    finally:
        server.should_exit = True
        async with asyncio.timeout(WAIT_SECONDS):
            await running


async def said(port: int, *pieces: bytes) -> bytes:
    """All that the server answers until it closes the connection, without its clock."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(0.02)
            return re.sub(rb"(?i)date: [^\r]+\r\n", b"", await reader.read())
    finally:
        writer.transport.abort()
