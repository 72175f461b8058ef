"""Check that subscribers miss no event when their connections are closed: `make soak-live`.

Many configs change through two servers. Each subscriber closes its connection at random times, and
resumes with its last cursor on either server. At the end each must have every event in its scope
exactly once, in the order of the log. The tests run a small version.
"""

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import text
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from bench.serving import ADMIN, ready, serving
from db.embedded import EmbeddedPostgres
from db.postgres.database import Database
from tests.support.waiting import WAIT_SECONDS

OWNERS = ("Acme", "Globex")
CHANGERS = 8
# Above the default interval, so that every change has an effect.
FIRST_INTERVAL = 1_000
RETRY_CODES = ("OVERLOADED", "DATABASE_UNAVAILABLE", "RESTARTING")
PAUSE_SECONDS = 0.05
QUERY = """subscription ($after: ID, $deviceId: ID) {
  configChanged(after: $after, deviceId: $deviceId) { cursor config { version } }
}"""
REGISTER = """mutation ($mac: String!, $owner: String!) {
  registerDevice(input: {
    mac: $mac, owner: $owner, location: {place: "Paris"}, measurementType: "temperature"
  }) { device { id } }
}"""
VIEWER = """mutation ($owner: String) {
  createToken(input: {kind: VIEWER, owner: $owner}) { secret }
}"""
CHANGE = """mutation ($id: ID!, $n: Int!) {
  updateConfig(input: {deviceId: $id, intervalSeconds: $n}) { errors { message } }
}"""


@dataclass
class Subscriber:
    """`stream`: use server-sent events, not a WebSocket. `max_seconds`: it closes each connection
    after a random time up to this.
    """

    token: str
    variables: dict[str, Any]
    stream: bool
    http: httpx.AsyncClient
    max_seconds: float = 20
    seen: list[int] = field(default_factory=list)
    connections: int = 0

    async def subscribe(self, urls: list[str], until: asyncio.Event) -> None:
        """Connect repeatedly, each time to a random server for a random time."""
        while not until.is_set():
            if self.connections:
                await asyncio.sleep(PAUSE_SECONDS)
            self.connections += 1
            with suppress(TimeoutError, WebSocketException, OSError, httpx.TransportError):
                async with (
                    aclosing(self._events(random.choice(urls))) as events,
                    asyncio.timeout(random.uniform(0.1, self.max_seconds)),
                ):
                    async for cursor in events:
                        self.seen.append(int(cursor))
                        self.variables["after"] = cursor

    def _events(self, url: str) -> AsyncGenerator[str]:
        return self._event_stream(url) if self.stream else self._websocket(url)

    async def _websocket(self, url: str) -> AsyncGenerator[str]:
        async with connect(
            url.replace("http", "ws"), subprotocols=["graphql-transport-ws"], compression=None
        ) as socket:
            payload = {"Authorization": f"Bearer {self.token}"}
            await socket.send(json.dumps({"type": "connection_init", "payload": payload}))
            request = {"query": QUERY, "variables": self.variables}
            await socket.recv()
            await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": request}))
            async for text_ in socket:
                message = json.loads(text_)
                if message["type"] == "error":
                    assert _overloaded({"errors": message["payload"]}), message
                    return
                yield message["payload"]["data"]["configChanged"]["cursor"]

    async def _event_stream(self, url: str) -> AsyncGenerator[str]:
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "text/event-stream"}
        body = {"query": QUERY, "variables": self.variables}
        async with self.http.stream("POST", url, json=body, headers=headers) as response:
            async for line in response.aiter_lines():
                if line.startswith("data: {"):
                    payload = json.loads(line[6:])
                    if _overloaded(payload):
                        return
                    yield payload["data"]["configChanged"]["cursor"]


def scope_of(number: int, ids: dict[str, list[str]]) -> tuple[str | None, str | None]:
    """Owner and device that a subscriber sees: all, one owner's devices, or one device."""
    owner = OWNERS[number % 2]
    match number % 3:
        case 0:
            return None, None
        case 1:
            return owner, None
        case _:
            return owner, ids[owner][number % len(ids[owner])]


async def soak(
    database_url: str, subscribers: int, changes: int, devices: int = 20, max_seconds: float = 20
) -> str:
    """Raises AssertionError if a subscriber has missed an event or received it twice."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    with serving(database_url) as one, serving(database_url) as other:
        http = httpx.AsyncClient(timeout=WAIT_SECONDS, limits=limits, verify=False)  # noqa: S501  no TLS here
        urls = [await ready(one.output), await ready(other.output)]
        ids = await _register(urls[0], devices)
        tokens = {owner: await _viewer(urls[0], owner) for owner in (None, *OWNERS)}
        scopes = [scope_of(number, ids) for number in range(subscribers)]
        start = (await _ask(urls[0], "{ latestCursor }"))["latestCursor"]
        clients = [
            Subscriber(
                tokens[owner],
                {"after": start, "deviceId": device},
                stream=number % 2 == 1,
                http=http,
                max_seconds=max_seconds,
            )
            for number, (owner, device) in enumerate(scopes)
        ]
        stopped = asyncio.Event()
        tasks = [asyncio.create_task(client.subscribe(urls, stopped)) for client in clients]
        started = time.monotonic()
        await _change_all(urls, [id for owned in ids.values() for id in owned], changes)
        changed = time.monotonic()
        log = await log_of(database_url)
        expected = [expected_of(log, scope) for scope in scopes]
        await _until_caught_up(clients, expected, tasks)
        caught_up = time.monotonic()
        stopped.set()
        await asyncio.gather(*tasks)
        await http.aclose()
    assert len(log) == changes, f"{len(log)} events of {changes} changes"
    for client, events in zip(clients, expected, strict=True):
        assert client.seen == events, "missed, repeated or out of order"
    return (
        f"{changes} changes in {changed - started:.1f} s through two servers; "
        f"{subscribers} subscribers, {sum(c.connections for c in clients)} connections, "
        f"{sum(map(len, expected))} events, each exactly once and in order; "
        f"the last arrived {max(caught_up - changed, 0):.1f} s after the last change"
    )


async def _ask(url: str, query: str, **values: Any) -> Any:
    async with httpx.AsyncClient(timeout=WAIT_SECONDS) as client:
        return await _execute(client, url, query, **values)


async def _execute(client: httpx.AsyncClient, url: str, query: str, **values: Any) -> Any:
    headers = {"Authorization": f"Bearer {ADMIN}"}
    body = {"query": query, "variables": values}
    result = (await client.post(url, json=body, headers=headers)).json()
    while _overloaded(result):
        await asyncio.sleep(random.uniform(0.5, 2))
        result = (await client.post(url, json=body, headers=headers)).json()
    assert "errors" not in result, result
    return result["data"]


def _overloaded(result: dict[str, Any]) -> bool:
    """True if the server has not executed the operation, and a retry may succeed."""
    return any(e["extensions"]["code"] in RETRY_CODES for e in result.get("errors", ()))


async def _register(url: str, devices: int) -> dict[str, list[str]]:
    """Register devices; return their ids by owner."""
    ids: dict[str, list[str]] = {owner: [] for owner in OWNERS}
    for number in range(devices):
        owner = OWNERS[number % 2]
        mac = f"24:6f:28:02:{number // 256:02x}:{number % 256:02x}"
        data = await _ask(url, REGISTER, mac=mac, owner=owner)
        ids[owner].append(data["registerDevice"]["device"]["id"])
    return ids


async def _viewer(url: str, owner: str | None) -> str:
    return str((await _ask(url, VIEWER, owner=owner))["createToken"]["secret"])


async def _change_all(urls: list[str], ids: list[str], changes: int) -> None:
    numbers = iter(range(changes))

    # The server closes idle connections after 5 s; this process may be busy for that long.
    limits = httpx.Limits(keepalive_expiry=2)

    async def change(url: str) -> None:
        async with httpx.AsyncClient(timeout=WAIT_SECONDS, limits=limits) as client:
            for number in numbers:
                id = random.choice(ids)
                data = await _execute(client, url, CHANGE, id=id, n=FIRST_INTERVAL + number)
                assert not data["updateConfig"]["errors"]

    await asyncio.gather(*(change(urls[n % 2]) for n in range(CHANGERS)))


async def log_of(database_url: str) -> list[Any]:
    database = Database(database_url)
    async with database.transaction() as session:
        found = await session.execute(
            text(
                """
                SELECT e.id, e.device_id, o.name AS owner FROM events e
                JOIN owners o ON o.id = e.owner_id
                WHERE kind = 'config_changed' ORDER BY e.tx, e.id
                """
            )
        )
        rows = list(found)
    await database.close()
    return rows


def expected_of(log: list[Any], scope: tuple[str | None, str | None]) -> list[int]:
    owner, device = scope
    return [row.id for row in log if owner in (None, row.owner) and device in (None, row.device_id)]


async def _until_caught_up(
    clients: list[Subscriber], expected: list[list[int]], tasks: list[asyncio.Task[None]]
) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while any(len(c.seen) < len(e) for c, e in zip(clients, expected, strict=True)):
            for failed in filter(asyncio.Task.done, tasks):
                failed.result()
            await asyncio.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--followers", type=int, default=200)
    parser.add_argument("--changes", type=int, default=5_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rollcall-") as folder:
        postgres = EmbeddedPostgres(Path(folder))
        try:
            print(asyncio.run(soak(postgres.start(), options.followers, options.changes)))
        finally:
            postgres.stop()


if __name__ == "__main__":
    main()
