"""MQTT packets to the embedded broker."""

import json
import random

from bench.fuzz import shapes
from bench.fuzz.message import Message, Target

CONNECT, PUBLISH, SUBSCRIBE, UNSUBSCRIBE, PINGREQ, DISCONNECT = 0x10, 0x30, 0x82, 0xA2, 0xC0, 0xE0


def packet(kind: int, body: bytes) -> bytes:
    length, head = len(body), bytes([kind])
    while True:
        head += bytes([length & 0x7F | (0x80 if length > 0x7F else 0)])
        length >>= 7
        if not length:
            return head + body


def field(value: bytes) -> bytes:
    return len(value[:65_535]).to_bytes(2) + value[:65_535]


def connect(user: str, password: str, client: bytes = b"fuzz") -> bytes:
    credentials = field(user.encode()) + field(password.encode())
    return packet(CONNECT, field(b"MQTT") + b"\4\xc2\0\x1e" + field(client) + credentials)


def publish(topic: bytes, payload: bytes, qos: int = 0, *, retain: bool = False) -> bytes:
    number = b"\0\1" if qos else b""
    return packet(PUBLISH | qos << 1 | retain, field(topic) + number + payload)


def packets(choose: random.Random, target: Target) -> Message:
    id, topic = target.device
    as_device = choose.random() < 0.7
    user, token = (id, target.tokens["device"]) if as_device else ("admin", target.tokens["admin"])
    client = id.encode() if as_device else f"fuzz{choose.randrange(4)}".encode()
    if choose.random() < 0.15:
        data = _connects(choose, token)
        return Message("mqtt", "connect", (data,), port=target.mqtt_port, patient=False)
    makers = [_reports, _reports, _publishes, _filters, _tiny, _broken]
    name, data = choose.choice(makers)(choose, topic.encode())
    end = packet(DISCONNECT, b"")
    return Message(
        "mqtt",
        name,
        (data + end,),
        (connect(user, token, client),),
        patient=name != "broken",
        port=target.mqtt_port,
    )


def _bytes(choose: random.Random, largest: int = 70_000) -> bytes:
    return shapes.text(choose, largest).encode(errors="surrogatepass")


def _connects(choose: random.Random, token: str) -> bytes:
    user, password = shapes.text(choose, 60_000), shapes.text(choose, 60_000)
    body = field(b"MQTT") + bytes([4, choose.randrange(256), 0, 30]) + field(_bytes(choose))
    parts = [_bytes(choose), _bytes(choose), user.encode(errors="replace")]
    parts.append((token if choose.random() < 0.5 else password).encode(errors="replace"))
    return packet(CONNECT, (body + b"".join(field(p) for p in parts))[:200_000])


def _reports(choose: random.Random, topic: bytes) -> tuple[str, bytes]:
    values = {"v": choose.choice([1, 2, 2**31 - 1, shapes.value(choose, 2_000)])}
    values |= {key: shapes.value(choose, 2_000) for key in ("fw", "error") if choose.random() < 0.5}
    payload = json.dumps(values).encode()
    if choose.random() < 0.3:
        payload = choose.choice([b"[" * 1_000, b"9" * 1_000, b'{"v":' * 200, b"\xff" * 9, b""])
    count = choose.choice([1, 1, 10, 300])
    leaf = choose.choice([b"/state", b"/status", b""])
    kept = choose.random() < 0.5
    return "reports", publish(topic + leaf, payload, choose.choice([0, 1]), retain=kept) * count


def _publishes(choose: random.Random, topic: bytes) -> tuple[str, bytes]:
    where = choose.choice([topic, topic + b"/" + _bytes(choose), _bytes(choose)])
    count = choose.choice([1, 20, 1_000])
    data = publish(where, _bytes(choose), choose.choice([0, 1, 2]), retain=choose.random() < 0.5)
    return "publish", data * max(1, min(count, 400_000 // len(data)))


def _filters(choose: random.Random, topic: bytes) -> tuple[str, bytes]:
    count = min(shapes.size(choose), 20_000)
    kind = choose.choice([SUBSCRIBE, UNSUBSCRIBE])
    usual = [topic + b"/config", b"#", b"+/+/+/+", _bytes(choose, 1_000), b"a/" * 40]
    body, chosen = b"\0\1", choose.choice(usual)
    for number in range(count):
        filter = chosen + (b"/%d" % number if choose.random() < 0.5 else b"")
        body += field(filter) + (b"\1" if kind == SUBSCRIBE else b"")
        if len(body) > 65_000:
            break
    return f"{count} filters", packet(kind, body) * choose.choice([1, 1, 5])


def _tiny(choose: random.Random, _: bytes) -> tuple[str, bytes]:
    count = min(shapes.size(choose), 50_000)
    small = choose.choice([packet(PINGREQ, b""), packet(0x40, b"\0\1"), packet(0x62, b"\0\1")])
    return f"{count} small packets", small * count


def _broken(choose: random.Random, _: bytes) -> tuple[str, bytes]:
    return "broken", choose.randbytes(choose.choice([1, 5, 50, 5_000]))
