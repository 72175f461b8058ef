"""How connections end, their limits, and the release of their resources."""

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from server.settings import Settings
from server.transport import http_protocol, listen
from tests.conftest import ADMIN, changed
from tests.events.live.serving import Instance, Socket, dial, instance, streamed, until
from tests.support.client import BENCH
from tests.support.timing import delay
from tests.support.waiting import WAIT_SECONDS

SOON_SECONDS = 2.0


@pytest.fixture
def small(settings: Settings) -> Settings:
    return changed(settings, max_connections_per_token=2, max_subscriptions_per_token=2)


@pytest.mark.alone
async def test_revoked_token_closes_its_connections(one: Instance) -> None:
    created = await one.api.change("createToken", fields="secret token { id }", kind="VIEWER")
    token, id = created["secret"], created["token"]["id"]
    async with await Socket.open(one.url, token) as socket, streamed(one.url, token) as stream:
        await socket.subscribe()
        await until(lambda: one.subscriptions == 2)
        since = time.monotonic()
        await one.api.change("revokeToken", id=id)
        code, reason = await socket.closing()
        assert (code, "revoked" in reason) == (4401, True)
        name, data = await stream.event()
        assert (name, data["errors"][0]["extensions"]["code"]) == ("next", "UNAUTHENTICATED")
        assert await stream.event() == ("complete", None)
        assert time.monotonic() - since < SOON_SECONDS * delay()
    await until(lambda: one.connections == one.subscriptions == 0)


@pytest.mark.alone
async def test_revocation_on_another_server_closes_connections(
    one: Instance, other: Instance
) -> None:
    created = await one.api.change("createToken", fields="secret token { id }", kind="VIEWER")
    async with await Socket.open(one.url, created["secret"]) as socket:
        since = time.monotonic()
        await other.api.change("revokeToken", id=created["token"]["id"])
        assert (await socket.closing())[0] == 4401
        assert time.monotonic() - since < SOON_SECONDS * delay()


@pytest.mark.alone
async def test_expired_token_closes_its_connections(one: Instance) -> None:
    end = datetime.now(UTC) + timedelta(seconds=1.5 * delay())
    token = await one.api.key(kind="VIEWER", expiresAt=end.isoformat())
    async with await Socket.open(one.url, token) as socket:
        assert (await socket.closing())[0] == 4401
        assert timedelta() <= datetime.now(UTC) - end < timedelta(seconds=SOON_SECONDS * delay())


async def test_deleted_device_closes_its_connections(one: Instance) -> None:
    registered = await one.api.register(await one.api.key())
    async with await Socket.open(one.url, registered["token"]) as socket:
        await one.api.change("deleteDevice", id=registered["device"]["id"])
        assert (await socket.closing())[0] == 4401


async def test_aborted_sockets_leave_no_tasks_or_subscriptions(one: Instance) -> None:
    sockets = [await Socket.open(one.url, ADMIN) for _ in range(20)]
    for socket in sockets:
        for id in ("1", "2"):
            await socket.subscribe(id)
    await until(lambda: one.subscriptions == 40)
    for socket in sockets:
        socket.connection.transport.abort()
    await until(lambda: one.connections == one.subscriptions == 0)
    assert one.app.state.database_supervisor.services.feeds.changes.subscriber_count == 0
    running = {task.get_coro().__qualname__ for task in asyncio.all_tasks()}  # type: ignore[union-attr]
    assert not [name for name in running if name.startswith(("Session", "EventStream"))]


async def test_stream_ends_when_client_disconnects(one: Instance) -> None:
    async with streamed(one.url, ADMIN):
        await until(lambda: one.subscriptions == 1)
    await until(lambda: one.connections == one.subscriptions == 0)


async def test_missing_pong_closes_without_close_code(
    one: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients of graphql-ws do not reconnect after code 1011."""
    monkeypatch.setattr(listen, "PING_SECONDS", 0.2)
    async with instance(one.settings) as quick, await Socket.open(quick.url, ADMIN) as socket:
        socket.connection.transport.pause_reading()
        await until(lambda: quick.connections == 0)
        socket.connection.transport.resume_reading()
        assert (await socket.closing())[0] == 1006


async def test_ping_flood_without_reading_closes_connection(one: Instance) -> None:
    async with await Socket.open(one.url, ADMIN, ping_interval=None) as socket:
        socket.connection.transport.pause_reading()
        frame = b"\x89\xfd" + bytes(4) + b"x" * 125
        raw = socket.connection.transport
        for _ in range(2_000):
            raw.write(frame * 100)
            await asyncio.sleep(0)
            if not one.connections:
                break
        await until(lambda: one.connections == 0)
        raw.abort()


async def test_too_many_fragments_close_connection(one: Instance) -> None:
    async with await Socket.open(one.url, ADMIN, ping_interval=None) as socket:
        empty = b"\x00\x80" + bytes(4)
        socket.connection.transport.write(b"\x01\x80" + bytes(4) + empty * 5_000)
        await until(lambda: one.connections == 0)


async def test_request_head_limits_of_size_and_time(
    one: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    for piece in (b"a: b\r\n" * 1_000, b"a" * 10_000):
        reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
        writer.write(b"GET /healthz HTTP/1.1\r\n" + b"x: ")
        for _ in range(40):
            writer.write(piece)
            await asyncio.sleep(0.001)
        # A client that is still sending may get the reset before the response.
        with suppress(ConnectionError):
            assert b" 431 " in await reader.readline()
        await until(writer.transport.is_closing)
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.5)
    for start in (b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
        writer.write(start)
        assert await asyncio.wait_for(reader.read(), WAIT_SECONDS) == b""
        writer.close()


async def test_connections_and_subscriptions_are_limited_per_token(small: Settings) -> None:
    async with instance(small) as one:
        viewer = await one.api.key(kind="VIEWER")
        async with (
            await Socket.open(one.url, ADMIN) as first,
            await Socket.open(one.url, ADMIN) as second,
        ):
            third = Socket(await dial(one.url))
            payload = {"Authorization": f"Bearer {ADMIN}"}
            await third.send({"type": "connection_init", "payload": payload})
            assert (await third.closing())[0] == 4429
            await (await Socket.open(one.url, viewer)).connection.close()
            await first.subscribe("1")
            await second.subscribe("1")
            await until(lambda: one.subscriptions == 2)
            await second.subscribe("2")
            assert (await second.errors())[0]["extensions"]["code"] == "RATE_LIMITED"
            await first.send({"type": "complete", "id": "1"})
            await until(lambda: one.subscriptions == 1)
            await second.subscribe("2")
            await until(lambda: one.subscriptions == 2)


async def test_stopping_server_closes_with_1012(settings: Settings) -> None:
    async with instance(settings) as one:
        await one.api.register(ADMIN, **BENCH)
        socket = await Socket.open(one.url, ADMIN)
        await socket.subscribe()
        stream = streamed(one.url, ADMIN)
        events = await stream.__aenter__()
        await until(lambda: one.subscriptions == 2)
    assert await socket.closing() == (1012, "The server restarts: reconnect soon.")
    name, data = await events.event()
    assert (name, data["errors"][0]["extensions"]["code"]) == ("next", "RESTARTING")
    assert await events.event() == ("end", None)
    await stream.__aexit__(None, None, None)
