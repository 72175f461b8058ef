"""A server process with an embedded PostgreSQL, started as a user starts it."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from tests.support.client import BENCH, REGISTER
from tests.support.waiting import WAIT_SECONDS, wait_for

ADMIN = "an-admin-token-for-tests"
CONCURRENCY = 32


class ServerProcess:
    def __init__(self, data_dir: Path, *command: str, **environment: str) -> None:
        self.data_dir = data_dir
        self.log = data_dir.parent / f"{data_dir.name}.log"
        self.command = command or (sys.executable, "-m", "server", "serve")
        self.environment = {
            "ROLLCALL_DATA_DIR": str(data_dir),
            "ROLLCALL_ADMIN_TOKEN": ADMIN,
            "ROLLCALL_PORT": "0",
            "ROLLCALL_MQTT_PORT": "0",
            **environment,
        }
        self.wait_for_database = True
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def output(self) -> str:
        return self.log.read_text()

    @property
    def url(self) -> str:
        return next(word for word in self.output.split() if word.startswith("http://"))

    def begin(self) -> None:
        """Start the process without waiting until it is ready."""
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                self.command, stdout=log, stderr=log, env={**os.environ, **self.environment}
            )

    def start(self) -> None:
        self.begin()
        try:
            wait_for(lambda: "http://" in self.output)
            wait_for(self.ready if self.wait_for_database else self.alive)
        except BaseException as error:
            error.add_note(f"Output of the server:\n{self.output}")
            self.kill()
            raise

    def alive(self) -> bool:
        return self._status("/healthz") == 200

    def ready(self) -> bool:
        return self._status("/readyz") == 200

    def _status(self, path: str) -> int | None:
        assert self.process
        assert self.process.poll() is None, self.output
        try:
            return httpx.get(self.url + path).status_code
        except httpx.TransportError:
            return None

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        assert self.process
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WAIT_SECONDS)

    @property
    def postgres_pid(self) -> int:
        return int(self._pid_file()[0])

    def _pid_file(self) -> list[str]:
        return (self.data_dir / "postgres" / "postmaster.pid").read_text().split("\n")

    async def connection(self) -> "asyncpg.Connection[asyncpg.Record]":
        """Connect to the server's database directly."""
        host = self._pid_file()[4]
        return await asyncpg.connect(user="postgres", database="postgres", host=host)

    async def rows(self, query: str) -> list[Any]:
        """Query the database directly."""
        connection = await self.connection()
        try:
            return list(await connection.fetch(query))
        finally:
            await connection.close()

    def ask(self, query: str, **variables: Any) -> Any:
        response = httpx.post(
            f"{self.url}/graphql",
            json={"query": query, "variables": variables},
            headers={"Authorization": f"Bearer {ADMIN}"},
        )
        return response.json()["data"]


async def register_many(
    server: ServerProcess, count: int, *, retry: bool, halfway: Callable[[], None]
) -> set[str]:
    """Return the ids of the devices whose registration succeeded. See `send_many`."""

    def request(number: int) -> GraphQLRequest:
        mac = f"24:6f:28:01:{number // 256:02x}:{number % 256:02x}"
        return GraphQLRequest(REGISTER, {"input": {**BENCH, "mac": mac}})

    requests = [request(number) for number in range(count)]
    results = await send_many(server, requests, retry=retry, halfway=halfway)
    return {data["registerDevice"]["device"]["id"] for data in results.values()}


@dataclass(frozen=True)
class GraphQLRequest:
    query: str
    variables: dict[str, Any]
    token: str = ADMIN


async def send_many(
    server: ServerProcess,
    requests: Sequence[GraphQLRequest],
    *,
    retry: bool,
    halfway: Callable[[], None],
) -> dict[int, Any]:
    """Send requests concurrently. Return the data of successful responses by request number.

    `halfway`: called after half of the responses. `retry`: repeat failed requests.
    """
    results: dict[int, Any] = {}
    slots = asyncio.Semaphore(CONCURRENCY)

    async def send(client: httpx.AsyncClient, number: int, request: GraphQLRequest) -> None:
        body = {"query": request.query, "variables": request.variables}
        headers = {"Authorization": f"Bearer {request.token}"}
        async with slots:
            deadline = time.monotonic() + WAIT_SECONDS
            while time.monotonic() < deadline:
                try:
                    response = await client.post("/graphql", json=body, headers=headers)
                except httpx.TransportError:
                    response = None
                if response is not None and response.status_code == 200:
                    results[number] = response.json()["data"]
                    return
                assert response is None or response.status_code == 503, response.text
                if not retry:
                    return
                await asyncio.sleep(0.05)

    async with httpx.AsyncClient(base_url=server.url) as client:
        sending = asyncio.gather(*(send(client, *each) for each in enumerate(requests)))
        while len(results) < len(requests) // 2:  # noqa: ASYNC110
            await asyncio.sleep(0)
        halfway()
        await sending
    return results
