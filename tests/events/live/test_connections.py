"""How connections end, their limits, and the release of their resources."""

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from resolvers.access import authenticate
from resolvers.access.authenticate import Credential
from resolvers.services import Services
from server.graphql import service
from server.settings import Settings
from server.transport import http_protocol, listen
from tests.conftest import ADMIN, changed
from tests.events.live.serving import (
    CHANGES,
    Instance,
    Socket,
    change_config,
    dial,
    instance,
    streamed,
    until,
)
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


async def test_completed_subscription_frees_its_id(one: Instance, device: str) -> None:
    async with await Socket.open(one.url, ADMIN) as socket:
        await socket.subscribe("1")
        await until(lambda: one.subscriptions == 1)
        await socket.send({"type": "complete", "id": "1"})
        await until(lambda: one.subscriptions == 0)
        await socket.subscribe("1")
        await until(lambda: one.subscriptions == 1)
        await change_config(one.api, device, 20)
        assert (await socket.change())["config"]["version"] == 2


async def test_queries_and_mutations_over_websocket_and_stream(one: Instance, device: str) -> None:
    values = f'{{deviceId: "{device}", qos: 2}}'
    change = f"mutation {{ updateConfig(input: {values}) {{ config {{ qos }} }} }}"
    async with await Socket.open(one.url, ADMIN) as socket:
        await socket.subscribe("q", "{ devices { totalCount } }")
        payload = {"data": {"devices": {"totalCount": 1}}}
        assert await socket.message() == {"id": "q", "type": "next", "payload": payload}
        assert await socket.message() == {"id": "q", "type": "complete"}
        await socket.subscribe("m", change)
        payload = {"data": {"updateConfig": {"config": {"qos": 2}}}}
        assert await socket.message() == {"id": "m", "type": "next", "payload": payload}
        assert await socket.message() == {"id": "m", "type": "complete"}
    async with streamed(one.url, ADMIN, "{ devices { totalCount } }") as stream:
        assert await stream.event() == ("next", {"data": {"devices": {"totalCount": 1}}})
        assert await stream.event() == ("complete", None)
        assert await stream.event() == ("end", None)


async def test_document_error_keeps_the_connection(one: Instance) -> None:
    async with await Socket.open(one.url, ADMIN) as socket:
        await socket.subscribe("1", "subscription { nothing }")
        [error] = await socket.errors()
        assert error["extensions"]["code"] == "BAD_DOCUMENT"
        await socket.subscribe("1", "query ($x: Int!) { devices(first: $x) { totalCount } }")
        assert "$x" in (await socket.errors())[0]["message"]
        await socket.send({"type": "ping", "payload": {"n": 1}})
        assert await socket.message() == {"type": "pong", "payload": {"n": 1}}


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("", 4400),
        ("{", 4400),
        ("null", 4400),
        ("1", 4400),
        ("[]", 4400),
        ("{}", 4400),
        ('{"type": 1}', 4400),
        ('{"type": "hello"}', 4400),
        ('{"type": "\\ud800"}', 4400),
        ('{"type": "ping", "payload": {"x": NaN}}', 4400),
        ('{"type": "subscribe"}', 4400),
        ('{"type": "subscribe", "id": "1"}', 4400),
        ('{"type": "subscribe", "id": "1", "payload": {}}', 4400),
        ('{"type": "subscribe", "id": "1", "payload": {"query": 1}}', 4400),
        ('{"type": "subscribe", "id": 1, "payload": {"query": "{me{id}}"}}', 4400),
        ('{"type": "subscribe", "id": "", "payload": {"query": "{me{id}}"}}', 4400),
        ('{"type": "complete"}', 4400),
        ('{"type": "connection_init"}', 4429),
        ("[" * 10_000, 4400),
    ],
)
async def test_invalid_message_closes_with_code(one: Instance, message: str, code: int) -> None:
    async with await Socket.open(one.url, ADMIN) as socket:
        await socket.send(message)
        assert (await socket.closing())[0] == code
    await until(lambda: one.connections == 0)


async def test_invalid_frame_closes_with_code(one: Instance) -> None:
    async with await Socket.open(one.url, ADMIN) as socket:
        await socket.connection.send(b'{"type": "ping"}')
        assert (await socket.closing())[0] == 4400
    async with await Socket.open(one.url, ADMIN) as socket:
        await socket.connection.send(b"\xff\xfe", text=True)
        assert (await socket.closing())[0] == 1007
    async with await Socket.open(one.url, ADMIN) as socket:
        await socket.send("x" * 1_000_001)
        assert (await socket.closing())[0] == 1009
    await until(lambda: one.connections == 0)


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


async def test_duplicate_subscription_id_closes_with_4409(one: Instance) -> None:
    async with await Socket.open(one.url, ADMIN) as socket:
        await socket.subscribe("1")
        await socket.subscribe("1")
        assert await socket.closing() == (4409, "Subscriber for 1 already exists")


@pytest.mark.parametrize("token", [None, "rca_unknown"])
async def test_connection_without_valid_token_closes_with_4401(
    one: Instance, token: str | None
) -> None:
    socket = Socket(await dial(one.url))
    payload = {"Authorization": f"Bearer {token}"} if token else None
    await socket.send({"type": "connection_init", "payload": payload})
    assert (await socket.closing())[0] == 4401


async def test_token_in_handshake_header_is_accepted(one: Instance) -> None:
    headers = {"Authorization": f"Bearer {ADMIN}"}
    socket = await Socket.open(one.url, None, additional_headers=headers)
    await socket.connection.close()


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ({"type": "subscribe", "id": "1", "payload": {"query": CHANGES}}, 4401),
        ({"type": "connection_init", "payload": []}, 4400),
        ({"type": "connection_init", "payload": {"Authorization": 1}}, 4400),
        ({"type": "connection_init", "payload": {"authorization": "Basic eA=="}}, 4401),
    ],
)
async def test_invalid_first_message_closes_with_code(one: Instance, first: Any, code: int) -> None:
    socket = Socket(await dial(one.url))
    await socket.send(first)
    assert (await socket.closing())[0] == code


async def test_subprotocol_negotiation(one: Instance) -> None:
    assert (await Socket(await dial(one.url, subprotocols=None)).closing())[0] == 4406
    connection = await dial(one.url, subprotocols=["graphql-transport-ws", "chat"])
    assert connection.subprotocol == "graphql-transport-ws"
    await connection.close()


async def test_websocket_from_foreign_origin_is_forbidden(settings: Settings) -> None:
    with_cors = changed(settings, cors_origins="https://console.example.com")
    async with instance(with_cors) as one:
        for origin in ("https://evil.example", "null", "http://[", f"http://127.0.0.1:{one.port}1"):
            with pytest.raises(InvalidStatus) as refused:
                await dial(one.url, origin=origin)
            assert refused.value.response.status_code == 403
        for origin in (f"http://127.0.0.1:{one.port}", "https://console.example.com"):
            await (await dial(one.url, origin=origin)).close()


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


@pytest.mark.parametrize("size", [30, 200, 40_000, 100_000])
async def test_messages_of_any_size(one: Instance, size: int) -> None:
    query = "query ($text: String) { devices(filter: {owner: $text}) { nodes { id } } }"
    async with await Socket.open(one.url, ADMIN, max_size=None) as socket:
        await socket.send({"type": "ping", "payload": {"text": "é" * size}})
        assert (await socket.message())["payload"]["text"] == "é" * size
        await socket.subscribe(query=query, text="Acme")
        assert (await socket.message())["payload"]["data"] == {"devices": {"nodes": []}}


@pytest.mark.parametrize("direct", [True, False], ids=["direct", "asgi"])
@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ([], "127.0.0.1"),
        (["203.0.113.9"], "203.0.113.9"),
        (["198.51.100.7", "203.0.113.9"], "203.0.113.9"),
    ],
)
async def test_client_address_behind_a_proxy(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    forwarded: list[str],
    address: str,
    direct: bool,
) -> None:
    seen = []

    async def identify(services: Services, credential: Credential, address: str | None) -> Any:
        seen.append(address)
        return await authenticate.identify(services, credential, address)

    monkeypatch.setattr(service, "identify", identify)
    headers = [("X-Forwarded-For", each) for each in forwarded]
    async with instance(settings) as one:
        if not direct:
            one.app.live = None
        socket = await Socket.open(one.url, ADMIN, additional_headers=headers)
        await socket.connection.close()
    assert seen == [address]
