"""The example request and MQTT session in docs/devices.md match the client."""

import re
from pathlib import Path

from esp_client import api, config, packets

PAGE = Path(__file__).parent.parent.parent / "docs" / "devices.md"
ID = "ec42179b76a53de03a9ace42975a4fc6"
BASE = f"acme/paris/temperature/{ID}"
TOKEN = "rcd_AJOWkX21a3r5TxrLFGk__vy_"


def test_documented_request_matches_the_client() -> None:
    page = PAGE.read_text()
    head, _, body = page.partition("POST /graphql HTTP/1.0\n")[2].partition("\n\n")
    shown = body.partition("\n```")[0]
    values = {
        "mac": "246f28aabbcc",
        "owner": "Acme",
        "place": "Paris",
        "lat": 48.85,
        "lon": 2.35,
        "type": "temperature",
        "model": "BME280",
        "fw": "1.0.0",
    }
    real = api.request(api.REGISTER, values)
    assert re.sub(r"\s", "", shown) == re.sub(r"\s", "", real.decode())
    assert f"Content-Length: {len(real)}\n" in head + "\n"


def documented(page: str) -> list[tuple[str, bytes]]:
    """Return the packets of the example session, with their direction: `>` or `<`."""
    found: list[tuple[str, bytes]] = []
    for line in page.partition("```mqtt\n")[2].partition("```")[0].splitlines():
        shown = line.partition("#")[0]
        if shown[0] in "<>":
            found.append((shown[0], b""))
        direction, data = found.pop()
        for token in re.findall(r'"[^"]*"|\{.*\}|\b[0-9A-F]{2}\b|\bid\b|\bbase\b', shown):
            data += encoded(token)
        found.append((direction, data))
    return found


def encoded(token: str) -> bytes:
    if token[0] == '"':
        return token[1:-1].encode()
    if token in ("id", "base"):
        return (ID if token == "id" else BASE).encode()
    return token.encode() if token[0] == "{" else bytes.fromhex(token)


def packet_id(number: int) -> bytes:
    return number.to_bytes(2, "big")


def test_documented_session_matches_the_client() -> None:
    status, state, topic = f"{BASE}/status", f"{BASE}/state", f"{BASE}/config"
    found = documented(PAGE.read_text())
    assert [data for direction, data in found if direction == ">"] == [
        packets.connect(ID, ID, TOKEN, 60, (status, "offline")),
        packets.publish(status, b"online", 1, True, packet_id(1)),
        packets.subscribe([topic], packet_id(2)),
        packets.packet(packets.PUBACK, packet_id(1)),
        packets.publish(state, config.state(1, "", "1.0.0"), 1, True, packet_id(3)),
        packets.publish(state, config.state(2, "", "1.0.0"), 1, True, packet_id(4)),
        packets.publish(BASE, b"21.5", 1, False, packet_id(5)),
        packets.packet(packets.PINGREQ),
        packets.publish(BASE, b"21.6", 2, False, packet_id(6)),
        packets.packet(packets.PUBREL, packet_id(6)),
        packets.packet(packets.DISCONNECT),
    ]
    from_broker = [data for direction, data in found if direction == "<"]
    message = next(data for data in from_broker if data[0] == 0x33)
    assert message == packets.publish(
        topic, b'{"v":2,"interval":30,"qos":1,"at":1764000000}', 1, True, packet_id(1)
    )
    assert [data[0] for data in from_broker] == [
        *(packets.CONNACK, packets.PUBACK, packets.SUBACK, 0x33, *[packets.PUBACK] * 3),
        *(packets.PINGRESP, packets.PUBREC, packets.PUBCOMP),
    ]
    assert all(len(data) == 2 + data[1] for data in from_broker)
