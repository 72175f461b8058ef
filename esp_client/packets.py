"""MQTT 3.1.1 packets as bytes (sections 2 and 3 of the specification)."""

PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 0x30, 0x40, 0x50, 0x62, 0x70
CONNACK, SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK = 0x20, 0x82, 0x90, 0xA2, 0xB0
PINGREQ, PINGRESP, DISCONNECT = 0xC0, 0xD0, 0xE0


class MqttError(Exception):
    """Close the connection. `refused`: the user name or password was refused."""

    refused = False


def packet(first: int, *parts: bytes) -> bytes:
    """`first`: type and flags."""
    body = b"".join(parts)
    size = len(body)
    head = bytearray((first,))
    while size > 127:
        head.append(size & 127 | 128)
        size >>= 7
    head.append(size)
    return bytes(head) + body


def text(value: str) -> bytes:
    """A string with its length in front, in two bytes."""
    data = value.encode()
    return len(data).to_bytes(2, "big") + data


def connect(client: str, user: str, password: str, keepalive: int, will: tuple) -> bytes:
    """A clean session. `will`: (topic, message), retained, QoS 1. `keepalive`: seconds."""
    head = text("MQTT") + b"\x04\xee" + keepalive.to_bytes(2, "big")
    texts = (client, will[0], will[1], user, password)
    return packet(0x10, head, *[text(value) for value in texts])


def publish(topic: str, payload: bytes, qos: int, retain: bool, number: bytes) -> bytes:
    """`number`: the packet id, two bytes; empty with QoS 0."""
    return packet(PUBLISH | qos << 1 | int(retain), text(topic), number, payload)


def subscribe(filters: list, number: bytes) -> bytes:
    """With QoS 1."""
    return packet(SUBSCRIBE, number, *[text(name) + b"\x01" for name in filters])


def unsubscribe(filters: list, number: bytes) -> bytes:
    return packet(UNSUBSCRIBE, number, *[text(name) for name in filters])
