"""The application on a TCP port in the test process, with WebSocket and SSE clients."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Self

import httpx
from fastapi import FastAPI
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from server.app import create_app
from server.settings import Settings
from server.transport.listen import listen, server_for
from tests.conftest import ADMIN, opened
from tests.support.client import Api
from tests.support.waiting import WAIT_SECONDS, until

CHANGES = """
subscription ($deviceId: ID, $owner: String, $after: ID) {
  configChanged(deviceId: $deviceId, owner: $owner, after: $after) {
    cursor device { id owner } config { version intervalSeconds updatedBy } previous { version }
  }
}"""


class Instance:
    """One running server. Several may share a database."""

    def __init__(self, app: FastAPI, settings: Settings, port: int) -> None:
        self.app = app
        self.settings = settings
        self.url = f"http://127.0.0.1:{port}/graphql"
        self.api = Api(app, ADMIN)
        self.port = port

    @property
    def connections(self) -> int:
        return int(self.app.state.connections.count)

    @property
    def subscriptions(self) -> int:
        return int(self.app.state.connections.subscriptions)


@asynccontextmanager
async def instance(settings: Settings, port: int = 0) -> AsyncIterator[Instance]:
    app = create_app(settings)
    listening = listen("127.0.0.1", port)
    server = server_for(app, settings)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        await until(lambda: server.started)
        await opened(app)
        served = Instance(app, settings, listening.getsockname()[1])
        yield served
        await served.api.close()
    finally:
        server.should_exit = True
        await serving


class Socket:
    """A graphql-transport-ws client that returns every message."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    @classmethod
    async def open(cls, url: str, token: str | None, **options: Any) -> Self:
        socket = cls(await dial(url, **options))
        payload = {"Authorization": f"Bearer {token}"} if token else {}
        await socket.send({"type": "connection_init", "payload": payload})
        assert await socket.message() == {"type": "connection_ack"}
        return socket

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.connection.close()

    async def send(self, message: Any) -> None:
        await self.connection.send(message if isinstance(message, str) else json.dumps(message))

    async def message(self) -> Any:
        async with asyncio.timeout(WAIT_SECONDS):
            return json.loads(await self.connection.recv())

    async def subscribe(self, id: str = "1", query: str = CHANGES, **variables: Any) -> None:
        payload = {"query": query, "variables": variables}
        await self.send({"type": "subscribe", "id": id, "payload": payload})

    async def change(self) -> Any:
        """Return the next config change."""
        message = await self.message()
        assert message["type"] == "next", message
        assert "errors" not in message["payload"], message
        return message["payload"]["data"]["configChanged"]

    async def errors(self) -> Any:
        message = await self.message()
        assert message["type"] == "error", message
        return message["payload"]

    async def closing(self) -> tuple[int, str]:
        """Wait until the server closes; return code and reason. Earlier messages are discarded."""
        with suppress(ConnectionClosed):
            async with asyncio.timeout(WAIT_SECONDS):
                while True:
                    await self.connection.recv()
        return self.connection.close_code or 0, self.connection.close_reason or ""


async def dial(url: str, **options: Any) -> ClientConnection:
    return await connect(
        url.replace("http", "ws"),
        **{
            "subprotocols": ["graphql-transport-ws"],
            "compression": None,
            "open_timeout": WAIT_SECONDS,
            **options,
        },
    )


class Stream:
    """A stream of server-sent events."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines

    async def event(self) -> tuple[str, Any]:
        """Return name and data of the next event, or ("end", None) at the end of the stream."""
        name = ""
        async with asyncio.timeout(WAIT_SECONDS):
            async for line in self._lines:
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data:"):
                    data = line.removeprefix("data:").strip()
                    return name, json.loads(data) if data else None
        return "end", None

    async def change(self) -> Any:
        name, data = await self.event()
        assert name == "next", name
        return data["data"]["configChanged"]


@asynccontextmanager
async def streamed(
    url: str, token: str | None, query: str = CHANGES, **variables: Any
) -> AsyncIterator[Stream]:
    headers = {"Accept": "text/event-stream"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    body = {"query": query, "variables": variables}
    async with (
        httpx.AsyncClient(timeout=WAIT_SECONDS) as client,
        client.stream("POST", url, json=body, headers=headers) as response,
    ):
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Stream(response.aiter_lines())


async def change_config(api: Api, device: str, interval: int) -> Any:
    payload = await api.change(
        "updateConfig", fields="config { version }", deviceId=device, intervalSeconds=interval
    )
    assert payload["errors"] == []
    return payload["config"]["version"]
