"""No message of one client occupies the server for long, or gets much in return.

Each of these messages has stalled a server for 0.1 to 15 seconds.
"""

import json
from typing import Any

import pytest

from bench.fuzz import mqtt, websocket
from bench.fuzz.http import encoded, post
from bench.fuzz.message import Message
from tests.attacks.conftest import Metered

MARKS = "a" + "\u0315\u0316" * 60_000
UPDATE = (
    "mutation U($input: UpdateDeviceInput!) { updateDevice(input: $input) { errors { code } } }"
)


def graphql(metered: Metered, query: str, token: str | None = "admin", **variables: Any) -> Message:
    body = encoded({"query": query, "variables": variables})
    secret = metered.target.tokens[token] if token else None
    return raw(metered, post(metered.target, "/graphql", body, token=secret))


def raw(metered: Metered, data: bytes, count: int = 1) -> Message:
    return Message("http", "", (data,), port=metered.target.port, count=count)


def frames(metered: Metered, token: str, *payloads: Any) -> Message:
    """Operations that are sent at once over one WebSocket."""
    target = metered.target
    messages = [
        {"type": "subscribe", "id": str(number), "payload": payload}
        for number, payload in enumerate(payloads)
    ]
    data = b"".join(websocket.frame(json.dumps(message).encode()) for message in messages)
    greeting = (websocket.handshake(target), websocket.init(target.tokens[token]))
    count = len(payloads)
    return Message("ws", "", (data,), greeting, port=target.port, count=count, operations=count)


def packets(metered: Metered, data: bytes) -> Message:
    id, _ = metered.target.device
    connect = mqtt.connect(id, metered.target.tokens["device"], id.encode())
    end = mqtt.packet(mqtt.DISCONNECT, b"")
    return Message("mqtt", "", (data + end,), (connect,), port=metered.target.mqtt_port)


@pytest.mark.parametrize("field", ["configChanged", "eventAdded"])
@pytest.mark.parametrize("token", ["device", "admin"])
async def test_long_name_in_a_subscription(metered: Metered, field: str, token: str) -> None:
    document = f"subscription S($name: String!) {{ {field}(owner: $name) {{ __typename }} }}"
    await metered.cheap(frames(metered, token, {"query": document, "variables": {"name": MARKS}}))


async def test_long_names_are_not_kept(metered: Metered) -> None:
    document = "subscription S($name: String!) { configChanged(owner: $name) { cursor } }"
    megabytes = []
    for part in range(5):
        for number in range(60):
            variables = {"name": f"{part} {number} {'x' * 200_000}"}
            payload = {"query": document, "variables": variables}
            await metered.send(frames(metered, "admin", payload))
        megabytes.append(metered.megabytes)
    # Closed connections are garbage until the next collection.
    assert megabytes[-1] - megabytes[0] < 45


@pytest.mark.parametrize("token", ["admin", "device", None])
@pytest.mark.parametrize(
    "query",
    [
        f"mutation {{ updateDevice(input: {{ {' '.join(f'x{n}: {v}' for n in range(600))} }}) "
        "{ errors { code } } }"
        for v in ("1", '"' + "y" * 60 + '"')
    ]
    + [
        "{ " + " ".join(f'a: device(id: "{n}{"x" * 900}") {{ id }}' for n in range(20)) + " }",
        "{ devices { nodes { " + " ".join(f"a{n % 9}: owner a{n % 9}: id" for n in range(60)),
        "{ " + "x" * 40_000 + " }",
        "{ events(filter: {kinds: [" + ("X" * 480 + " ") * 99 + "]}) { totalCount } }",
        "query Q(" + " ".join(f"$v{n}: Nothing" for n in range(400)) + ") { me { id } }",
        " ".join(f"query Q{n} {{ me {{ id }} }}" for n in range(250)),
        "{ " + "...f0 " * 100 + "} " + " ".join(
            f"fragment f{n} on Query {{ ...f{n + 1} me {{ id }} }}" for n in range(90)
        ),
        "#" * 40_000,
    ],
    ids=["input fields", "long input fields", "conflicts", "overlaps", "long name", "enums",
         "variables", "operations", "fragments", "comments"],
)  # fmt: skip
async def test_large_document(metered: Metered, query: str, token: str | None) -> None:
    await metered.cheap(graphql(metered, query, token))


@pytest.mark.parametrize(
    "input",
    [
        {f"x{n}": "y" * 100 for n in range(7_000)},
        {"x" * 900_000: 1},
        {"id": "x" * 900_000},
        {"id": ["x" * 9_000] * 100},
        {f"x{n}": {"a": {"b": ["y" * 100] * 50}} for n in range(140)},
    ],
    ids=["many", "long key", "long text", "long list", "deep"],
)
async def test_large_variables(metered: Metered, input: Any) -> None:
    await metered.cheap(graphql(metered, UPDATE, input=input))


async def test_many_operations_at_once_over_a_websocket(metered: Metered) -> None:
    wrong = []
    for number in range(30):
        fields = " ".join(f"x{number}k{other}: 1" for other in range(500))
        query = f"mutation {{ updateDevice(input: {{ {fields} }}) {{ errors {{ code }} }} }}"
        wrong.append({"query": query})
    await metered.cheap(frames(metered, "admin", *wrong))
    small = [{"query": f"{{ a{n}: me {{ id }} }}"} for n in range(300)]
    await metered.cheap(frames(metered, "admin", *small))


@pytest.mark.parametrize("kind", [mqtt.SUBSCRIBE, mqtt.UNSUBSCRIBE])
async def test_packet_with_many_filters(metered: Metered, kind: int) -> None:
    options = b"\1" if kind == mqtt.SUBSCRIBE else b""
    filters = b"".join(mqtt.field(b"a/%d" % number) + options for number in range(4_500))
    await metered.cheap(packets(metered, mqtt.packet(kind, b"\0\1" + filters)))


@pytest.mark.parametrize("path", ["/graphql", "/register", "/mqtt/auth"])
async def test_body_in_chunks_of_one_byte(metered: Metered, path: str) -> None:
    body = encoded({"query": "{ me { id } }" + " " * 60_000})
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    head = post(metered.target, path, b"", token=metered.target.tokens["admin"])
    head = head.replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    answer = await metered.cheap(raw(metered, head + chunks))
    assert answer.status in ("400", "no response")


@pytest.mark.parametrize(
    "lines",
    [
        [f"X{number}: a" for number in range(10_000)],
        ["Accept: " + "a/b;q=0.1," * 20_000],
        ["Cookie: " + "a" * 200_000],
    ],
    ids=["many", "accept", "long"],
)
async def test_large_head_in_one_piece(metered: Metered, lines: list[str]) -> None:
    answer = await metered.cheap(
        raw(metered, post(metered.target, "/graphql", encoded({"query": "{ a }"}), *lines))
    )
    assert answer.status == "431"


async def test_many_requests_in_one_piece(metered: Metered) -> None:
    request = post(metered.target, "/healthz", b"").replace(b"POST", b"GET").replace(b"close", b"x")
    last = post(metered.target, "/healthz", b"").replace(b"POST", b"GET")
    count = 250_000 // len(request)
    await metered.cheap(raw(metered, request * count + last, count))


@pytest.mark.parametrize("frame", [
    websocket.frame(b"", websocket.PING),
    websocket.frame(b"", websocket.CONTINUATION, last=False),
    websocket.frame(b"{}"),
    websocket.frame(b'{"type":"pong"}'),
    websocket.frame(b'{"type":"ping"}'),
], ids=["pings", "fragments", "empty", "pong", "ping"])  # fmt: skip
async def test_many_frames_in_one_piece(metered: Metered, frame: bytes) -> None:
    target = metered.target
    greeting = (websocket.handshake(target), websocket.init(target.tokens["device"]))
    first = websocket.frame(b"{", last=False) if frame[0] == 0 else b""
    count = 20_000
    end = websocket.frame((1000).to_bytes(2), websocket.CLOSE)
    data = first + frame * count + end
    await metered.cheap(Message("ws", "", (data,), greeting, port=target.port, count=count))


async def test_bad_utf8_closes_without_a_traceback(metered: Metered) -> None:
    target = metered.target
    greeting = (websocket.handshake(target), websocket.init(target.tokens["device"]))
    parts = [
        websocket.frame(b"\xff", last=False),
        websocket.frame(b"", websocket.CONTINUATION),
        websocket.frame((1000).to_bytes(2), websocket.CLOSE),
    ]
    await metered.cheap(Message("ws", "", (b"".join(parts),), greeting, port=target.port))
    await metered.cheap(Message("ws", "", (b"".join(parts[:2]),), greeting, port=target.port))


async def test_schema_in_any_form(metered: Metered) -> None:
    types = "type { ofType { ofType { name } } }"
    deep = f"{{ types {{ fields(includeDeprecated: true) {{ args {{ {types} }} }} }} }}"
    query = "{ " + " ".join(f"a{n}: __schema {deep}" for n in range(3)) + " }"
    message = graphql(metered, query)
    await metered.cheap(message)
    found = await metered.send(message)
    assert found.status == "200"
