"""WebSocket frames to `/graphql`."""

import json
import random
from typing import Any

from bench.fuzz import shapes
from bench.fuzz.broken import Fuzzer
from bench.fuzz.documents import Documents
from bench.fuzz.message import Message, Target

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def frame(payload: bytes, opcode: int = TEXT, *, last: bool = True) -> bytes:
    """Return a frame of a client. Its mask is zero, so that the payload stays as it is."""
    head = bytes([(0x80 if last else 0) | opcode])
    length = len(payload)
    if length < 126:
        head += bytes([0x80 | length])
    elif length < 65_536:
        head += b"\xfe" + length.to_bytes(2)
    else:
        head += b"\xff" + length.to_bytes(8)
    return head + bytes(4) + payload


def handshake(target: Target) -> bytes:
    lines = [
        "GET /graphql HTTP/1.1", f"Host: {target.host}:{target.port}", "Upgrade: websocket",
        "Connection: Upgrade", "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Protocol: graphql-transport-ws", "", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode()


def init(token: str) -> bytes:
    message = {"type": "connection_init", "payload": {"Authorization": f"Bearer {token}"}}
    return frame(json.dumps(message).encode())


def frames(choose: random.Random, target: Target) -> Message:
    kind = choose.choices(["admin", "viewer", "device", None], [50, 10, 20, 20])[0]
    greeting = (handshake(target), init(target.tokens[kind])) if kind else (handshake(target),)
    makers = [_operations, _operations, _one, _pings, _fragments, _messages, _broken]
    name, count, data = choose.choice(makers)(choose, target)
    # A close frame would end the operations before they run.
    patient = "operation" not in name
    end = frame((1000).to_bytes(2), CLOSE) if patient else b""
    return Message(
        "websocket",
        f"{name} ({kind})",
        (data + end,),
        greeting,
        patient=patient,
        port=target.port,
        count=count,
    )


def _subscribe(choose: random.Random, id: str) -> dict[str, Any]:
    return {"type": "subscribe", "id": id, "payload": Documents(choose).request()}


def _operations(choose: random.Random, _: Target) -> tuple[str, int, bytes]:
    """Many operations at once."""
    count = choose.choice([2, 5, 10, 30, 300])
    same = choose.random() < 0.3
    messages, length = [], 0
    for number in range(count):
        message = json.dumps(messages[0] if same and messages else _subscribe(choose, "1")).encode()
        parsed = json.loads(message) | {"id": str(number)}
        messages.append(parsed)
        length += len(message)
        if length > 100_000:
            break
    return (
        f"{count} operations",
        len(messages),
        b"".join(frame(json.dumps(m).encode()) for m in messages),
    )


def _one(choose: random.Random, _: Target) -> tuple[str, int, bytes]:
    return "operation", 1, frame(json.dumps(_subscribe(choose, "1")).encode())


def _pings(choose: random.Random, _: Target) -> tuple[str, int, bytes]:
    count = min(shapes.size(choose), 20_000)
    if choose.random() < 0.5:
        return f"{count} pings", count, frame(b"x" * choose.choice([0, 125]), PING) * count
    payload = json.dumps({"type": "ping", "payload": {"a": shapes.value(choose, 20_000)}})
    return "large pings", min(count, 20), frame(payload.encode()) * min(count, 20)


def _fragments(choose: random.Random, _: Target) -> tuple[str, int, bytes]:
    count = min(shapes.size(choose), 20_000)
    inside = choose.choice([b"", b" ", b"x" * 40, b"\xff"])
    first = frame(b'{"type":"ping"}', last=False)
    rest = frame(inside, CONTINUATION, last=False) * count
    return f"{count} fragments", 1, first + rest + frame(b"", CONTINUATION)


def _messages(choose: random.Random, _: Target) -> tuple[str, int, bytes]:
    """Many messages of any kind."""
    count = min(shapes.size(choose), 20_000)
    kind = choose.choice(["ping", "pong", "complete", "connection_init", "x", "next"])
    message: dict[str, Any] = {"type": kind, "id": shapes.text(choose, 1_000)}
    data = frame(json.dumps(message).encode())
    if choose.random() < 0.3:
        data = frame(json.dumps(shapes.value(choose)).encode(), choose.choice([TEXT, BINARY]))
    count = max(1, min(count, 300_000 // len(data)))
    return f"{count} x {kind}", count, data * count


def _broken(choose: random.Random, target: Target) -> tuple[str, int, bytes]:
    fuzzer = Fuzzer(choose.randrange(2**31), target.tokens["admin"])
    parts = []
    for _ in range(choose.randrange(1, 6)):
        made = fuzzer.frame()
        is_text = isinstance(made, str)
        data = made.encode(errors="surrogatepass") if isinstance(made, str) else made
        parts.append(frame(data, TEXT if is_text else BINARY))
    return "broken", len(parts), b"".join(parts)
