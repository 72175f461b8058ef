"""Clients that register devices continuously, and the responses they get."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.server.process import ADMIN, ServerProcess
from tests.support.client import BENCH, REGISTER

CLIENTS = 8
REQUEST_SECONDS = 30
LIMIT_SECONDS = 90
FINISH_SECONDS = 5
numbers = itertools.count(1)

LIST = "{ devices(first: 20) { nodes { id config { version } } } }"


class Load:
    """`ids`: devices with a successful registration. `codes`: error codes. `unexpected`: errors
    that are not a 503 with Retry-After.
    """

    def __init__(self, servers: Sequence[ServerProcess]) -> None:
        self.ids: set[str] = set()
        self.codes: Counter[str] = Counter()
        self.counts = Counter({server.url: 0 for server in servers})
        self.unexpected: list[str] = []

    async def acknowledged(self, count: int, seconds: float = LIMIT_SECONDS) -> None:
        """Wait until `count` more registrations succeeded."""
        expected_count = len(self.ids) + count
        await self.until(lambda: len(self.ids) >= expected_count, seconds)

    async def continues(self, seconds: float = LIMIT_SECONDS) -> None:
        """Wait until each server acknowledges more than the requests in flight."""
        before = dict(self.counts)
        await self.until(
            lambda: all(self.counts[url] > before[url] + 2 * CLIENTS for url in before), seconds
        )

    async def until(self, condition: Any, seconds: float = LIMIT_SECONDS) -> None:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def register(self, client: httpx.AsyncClient, url: str) -> None:
        number = next(numbers)
        mac = f"24:6f:28:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
        answer = await self._ask(client, url, REGISTER, input={**BENCH, "mac": mac})
        if answer:
            self.ids.add(answer["registerDevice"]["device"]["id"])
            self.counts[url] += 1

    async def list(self, client: httpx.AsyncClient, url: str) -> None:
        await self._ask(client, url, LIST)

    async def _ask(self, client: httpx.AsyncClient, url: str, query: str, **variables: Any) -> Any:
        """Return the data, or None if the request must be repeated."""
        body = {"query": query, "variables": variables}
        try:
            response = await client.post(f"{url}/graphql", json=body)
        except httpx.TransportError as error:
            self.codes[type(error).__name__] += 1
            return None
        answer = response.json()
        if "errors" not in answer:
            return answer["data"]
        codes = {error["extensions"]["code"] for error in answer["errors"]}
        self.codes.update(codes)
        if response.status_code != 503 or "retry-after" not in response.headers:
            self.unexpected.append(f"{response.status_code} {response.text}")
        await asyncio.sleep(0.05)
        return None


@asynccontextmanager
async def load(
    *servers: ServerProcess, lists: int = 0, clients: int = CLIENTS
) -> AsyncIterator[Load]:
    """Run `clients` that register devices at each server, and `lists` that read the device list."""
    started = Load(servers)
    headers = {"Authorization": f"Bearer {ADMIN}"}
    # The server closes connections that are idle for 5 seconds.
    limits = httpx.Limits(max_connections=None, keepalive_expiry=2)

    stopped = asyncio.Event()

    async def repeat(work: Any, client: httpx.AsyncClient, url: str) -> None:
        while not stopped.is_set():
            await work(client, url)

    async with (
        httpx.AsyncClient(headers=headers, limits=limits, timeout=REQUEST_SECONDS) as client,
        asyncio.TaskGroup() as tasks,
    ):
        running = [
            tasks.create_task(repeat(work, client, server.url))
            for server in servers
            for work, count in ((started.register, clients), (started.list, lists))
            for _ in range(count)
        ]
        try:
            yield started
        finally:
            # httpx leaves the socket of a cancelled connect open.
            stopped.set()
            await asyncio.wait(running, timeout=FINISH_SECONDS)
            for task in running:
                task.cancel()


def check_log(*servers: ServerProcess) -> None:
    for server in servers:
        assert "Traceback" not in server.output, server.output
        assert "INTERNAL" not in server.output, server.output
