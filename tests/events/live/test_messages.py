"""Messages on an open connection: operations, invalid messages and frames, and sizes."""

import pytest

from tests.conftest import ADMIN
from tests.events.live.serving import Instance, Socket, change_config, streamed, until


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


async def test_duplicate_subscription_id_closes_with_4409(one: Instance) -> None:
    async with await Socket.open(one.url, ADMIN) as socket:
        await socket.subscribe("1")
        await socket.subscribe("1")
        assert await socket.closing() == (4409, "Subscriber for 1 already exists")


@pytest.mark.parametrize("size", [30, 200, 10_000, 40_000])
async def test_messages_of_any_size(one: Instance, size: int) -> None:
    query = "query ($text: String) { devices(filter: {owner: $text}) { nodes { id } } }"
    async with await Socket.open(one.url, ADMIN, max_size=None) as socket:
        await socket.send({"type": "ping", "payload": {"text": "é" * size}})
        assert (await socket.message())["payload"]["text"] == "é" * size
        await socket.subscribe(query=query, text="Acme")
        assert (await socket.message())["payload"]["data"] == {"devices": {"nodes": []}}
