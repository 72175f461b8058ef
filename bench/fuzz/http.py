"""HTTP requests: GraphQL, REST, the routes of brokers and of Telegram, pages."""

import json
import random
from typing import Any
from urllib.parse import quote

from bench.fuzz import shapes
from bench.fuzz.broken import Fuzzer
from bench.fuzz.documents import Documents
from bench.fuzz.message import Message, Target

ROUTES = [
    ("POST", "/register"), ("GET", "/topics/%s"), ("GET", "/config/%s"), ("POST", "/config/%s"),
    ("GET", "/devices"), ("GET", "/devices/%s"), ("PUT", "/devices/%s"), ("DELETE", "/devices/%s"),
]  # fmt: skip
PAGES = ["/", "/graphiql", "/docs", "/openapi.json", "/metrics", "/healthz", "/readyz"]
BODY = {
    "mac": "24:6f:28:aa:bb:cc", "owner": "Acme", "location": {"place": "Paris"},
    "measurementType": "t", "intervalSeconds": 9, "sensorModel": "bme280", "firmware": "1.0",
}  # fmt: skip


def request(choose: random.Random, target: Target) -> Message:
    makers = [_graphql, _graphql_get, _rest, _broker, _telegram, _pages, _heads, _chunks, _broken]
    return choose.choices(makers, [40, 6, 14, 5, 9, 2, 9, 5, 10])[0](choose, target)


def post(target: Target, path: str, body: bytes, *lines: str, token: str | None = None) -> bytes:
    """Return the bytes of a POST request with a JSON body."""
    return raw("POST", target, path, body, "Content-Type: application/json", *lines, token=token)


def raw(
    method: str, target: Target, path: str, body: bytes, *lines: str, token: str | None = None
) -> bytes:
    head = [f"{method} {path} HTTP/1.1", f"Host: {target.host}:{target.port}", *lines]
    head += [f"Authorization: Bearer {token}"] if token else []
    head += ["Connection: close", f"Content-Length: {len(body)}"]
    return "\r\n".join(head).encode("latin-1", "replace") + b"\r\n\r\n" + body


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def _token(choose: random.Random, target: Target) -> str | None:
    kinds = [*target.tokens, "unknown", None]
    kind = choose.choices(kinds, [*[10] * len(target.tokens), 2, 6])[0]
    if kind == "unknown":
        return shapes.text(choose, 5_000).replace("\n", "")
    return target.tokens[kind] if kind else None


def _graphql(choose: random.Random, target: Target) -> Message:
    documents = Documents(choose)
    parameters = documents.request()
    accept = choose.choice(["application/json", "*/*", "application/graphql-response+json"])
    lines = [f"Accept: {accept}"]
    token = _token(choose, target)
    data = post(target, "/graphql", encoded(parameters), *lines, token=token)
    count = choose.choice([2, 20]) if choose.random() < 0.05 else 1
    data = data.replace(b"Connection: close\r\n", b"", 1) * (count - 1) + data
    large = "__schema" in parameters.get("query", "")
    return Message("http", "graphql", (data,), port=target.port, large_answer=large, count=count)


def _graphql_get(choose: random.Random, target: Target) -> Message:
    parameters = Documents(choose).request()
    pairs = "&".join(
        f"{quote(key, errors='replace')}="
        + quote(value if isinstance(value, str) else json.dumps(value), errors="replace")
        for key, value in parameters.items()
    )
    data = raw("GET", target, f"/graphql?{pairs}", b"", token=_token(choose, target))
    large = "__schema" in pairs
    return Message("http", "graphql by GET", (data,), port=target.port, large_answer=large)


def _rest(choose: random.Random, target: Target) -> Message:
    method, path = choose.choice(ROUTES)
    usual = target.device[0] if choose.random() < 0.5 else shapes.text(choose, 5_000)
    path = path.replace("%s", quote(usual, safe="", errors="replace"))
    body = b""
    if method in ("GET", "DELETE"):
        count = min(shapes.size(choose), 3_000)
        names = choose.choice([["first"], ["owner", "place", "search"], ["x"]])
        pairs = [
            f"{choose.choice(names)}{number if choose.random() < 0.3 else ''}="
            + quote(shapes.text(choose, 60), errors="replace")
            for number in range(min(count, 1_000))
        ]
        path += "?" + "&".join(pairs)
    else:
        values: dict[str, Any] = {key: BODY[key] for key in BODY if choose.random() < 0.7}
        for key in list(values):
            if choose.random() < 0.3:
                values[key] = shapes.value(choose)
        if choose.random() < 0.2:
            values |= {f"x{number}": 1 for number in range(min(shapes.size(choose), 20_000))}
        body = encoded(values if choose.random() < 0.9 else shapes.value(choose))
    token = _token(choose, target)
    data = raw(method, target, path, body, "Content-Type: application/json", token=token)
    return Message("http", f"rest {method}", (data,), port=target.port)


def _broker(choose: random.Random, target: Target) -> Message:
    names = ["username", "password", "clientid", "action", "topic"]
    values = {name: shapes.value(choose, 20_000) for name in names if choose.random() < 0.7}
    if choose.random() < 0.5:
        values["action"] = choose.choice(["publish", "subscribe"])
    if choose.random() < 0.5:
        values["username"] = target.device[0]
    body = encoded(values if choose.random() < 0.9 else shapes.value(choose))
    token = target.tokens["admin"] if choose.random() < 0.8 else _token(choose, target)
    return Message(
        "http", "broker", (post(target, "/mqtt/auth", body, token=token),), port=target.port
    )


def _telegram(choose: random.Random, target: Target) -> Message:
    chat = {"id": choose.choice([4242, -100777, 7]), "type": "private"}
    sender = {"id": 4242, "is_bot": False, "first_name": shapes.text(choose, 5_000)}
    commands = ["/start ", "/devices ", "/device ", "/config ", "/mute ", "/quiet ", "/alerts ", ""]
    said = choose.choice(commands) + shapes.text(choose, 20_000)
    message: dict[str, Any] = {
        "message_id": 1, "date": 2**31 - 1, "chat": chat, "from": sender, "text": said,
        "entities": [{"type": "bot_command", "offset": 0, "length": 3}]
        * shapes.size(choose, 5_000),
    }  # fmt: skip
    update: dict[str, Any] = {"update_id": choose.randrange(2**31)}
    if choose.random() < 0.5:
        update["message"] = message
    else:
        verb = choose.choice(
            ["devices", "device", "approve", "reject", "config", "mute", "kind", "x"]
        )
        data = choose.choice([":", "|", " "]).join([verb, shapes.text(choose, 5_000)])
        update["callback_query"] = {
            "id": "1", "from": sender, "message": message, "data": data, "chat_instance": "1",
        }  # fmt: skip
    if choose.random() < 0.1:
        update = {"update_id": 1, "message": shapes.value(choose)}
    secret = f"X-Telegram-Bot-Api-Secret-Token: {target.telegram_secret}"
    data = post(target, "/telegram", encoded(update), secret)
    return Message("http", "telegram", (data,), port=target.port)


def _pages(choose: random.Random, target: Target) -> Message:
    path = choose.choice([*PAGES, "/" + quote(shapes.text(choose, 5_000), errors="replace")])
    data = raw("GET", target, path, b"", token=_token(choose, target))
    return Message("http", "page", (data,), port=target.port, large_answer=True)


def _heads(choose: random.Random, target: Target) -> Message:
    """A head with large, many or repeated headers."""
    count = min(shapes.size(choose), 20_000)
    name = choose.choice(
        ["Accept", "Cookie", "Origin", "X-Forwarded-For", "X-Request-Id", "If-None-Match",
         "Accept-Encoding", "traceparent", "tracestate", "baggage", "Host", "X", "Connection",
         "Content-Type", "Authorization", "Accept-Language", "Sec-WebSocket-Protocol", "Upgrade"]
    )  # fmt: skip
    inside = choose.choice(
        ["a,", "a=b,", "a;q=1,", "x", "a/b;q=0.1,", "1.2.3.4,", "\xff", "(", "%41"]
    )
    lines = [f"{name}: {inside * count}"]
    if choose.random() < 0.4:
        lines = [f"{name}{number if choose.random() < 0.5 else ''}: a" for number in range(count)]
    path = choose.choice(["/graphql", "/graphiql", "/", "/devices", "/mqtt/auth", "/metrics"])
    if choose.random() < 0.3:
        path += choose.choice(["?", "/", "%2f", "?a=", "&a", ";"]) * count
    body = encoded({"query": "{ __typename }"})
    data = post(target, path, body, *lines, token=target.tokens["admin"])
    return Message(
        "http", "head", (data,), port=target.port, large_answer=path.startswith("/graphiql")
    )


def _chunks(choose: random.Random, target: Target) -> Message:
    """A body in many chunks."""
    body = encoded({"query": "{ me { id } }" + " " * choose.choice([10, 1_000, 5_000, 60_000])})
    length = choose.choice([1, 1, 7, 1_000])
    extension = choose.choice(["", "", ";" + "x" * 100])
    chunks = b"".join(
        b"%x%s\r\n%s\r\n"
        % (len(body[at : at + length]), extension.encode(), body[at : at + length])
        for at in range(0, len(body), length)
    )
    path = choose.choice(["/graphql", "/graphql", "/register", "/mqtt/auth", "/telegram"])
    head = post(target, path, b"", token=target.tokens["admin"]).replace(
        b"Content-Length: 0", b"Transfer-Encoding: chunked"
    )
    if choose.random() < 0.2:
        head = head.replace(b"application/json", b"text/plain")
    return Message("http", "chunks", (head + chunks + b"0\r\n\r\n",), port=target.port)


def _broken(choose: random.Random, target: Target) -> Message:
    """A request that is changed at random."""
    data = Fuzzer(choose.randrange(2**31), target.tokens["admin"]).request(
        f"{target.host}:{target.port}"
    )
    return Message("http", "broken", (data,), port=target.port, patient=False, large_answer=True)
