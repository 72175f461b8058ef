"""Parses complete packets by amqtt's packet classes."""

from typing import Any

from amqtt.adapters import BufferReader
from amqtt.errors import AMQTTError, CodecError, MQTTError, NoDataError
from amqtt.mqtt import packet_class
from amqtt.mqtt.connack import (
    IDENTIFIER_REJECTED,
    UNACCEPTABLE_PROTOCOL_VERSION,
    ConnackPacket,
)
from amqtt.mqtt.connect import ConnectPacket
from amqtt.mqtt.packet import CONNECT, SUBSCRIBE, UNSUBSCRIBE, MQTTFixedHeader, MQTTPacket

from mqtt.embedded.packet_stream import Malformed

MAX_CLIENT_ID = 256
MAX_QOS = 2
# In one packet.
MAX_FILTERS = 200
VERSION_5 = 5
# MQTT 5, section 3.2: reason code 0x84, "unsupported protocol version", and no properties.
NOT_VERSION_5 = bytes((0x20, 3, 0, 0x84, 0))

Packet = MQTTPacket[Any, Any, Any]


class Refused(Exception):
    """The client gets a CONNACK with this return code, and the connection is closed."""

    def __init__(self, return_code: int) -> None:
        super().__init__(f"CONNACK return code {return_code}")
        self.response = ConnackPacket.build(0, return_code).to_bytes()


async def read_packet(packet: bytes) -> Packet:
    """Raises Malformed if the packet is invalid."""
    kind, flags, body = packet[0] >> 4, packet[0] & 0xF, _body(packet)
    if kind in (SUBSCRIBE, UNSUBSCRIBE) and flags != 2:  # noqa: PLR2004
        raise Malformed("reserved flags")
    if kind in (SUBSCRIBE, UNSUBSCRIBE):
        _limit_filters(body, options=int(kind == SUBSCRIBE))
    header = MQTTFixedHeader(kind, flags, len(body))
    try:
        return await packet_class(header).from_stream(BufferReader(body), fixed_header=header)
    except (AMQTTError, MQTTError, CodecError, NoDataError, ValueError, LookupError) as error:
        raise Malformed(str(error)) from error


async def read_connect(packet: bytes) -> ConnectPacket:
    """Parse the first packet of a client.

    Raises Malformed if it is not a valid CONNECT, Refused if its version or client id is refused.
    """
    if packet[0] != CONNECT << 4:
        raise Malformed("no CONNECT")
    _require_version(_body(packet))
    connect = await read_packet(packet)
    if not isinstance(connect, ConnectPacket) or _is_broken(connect):
        raise Malformed("a broken CONNECT")
    unnamed = connect.client_id_is_random and not connect.clean_session_flag
    if unnamed or len(connect.client_id or "") > MAX_CLIENT_ID:
        raise Refused(IDENTIFIER_REJECTED)
    return connect


def _require_version(body: bytes) -> None:
    """Accept 3.1.1 only, by protocol name and level (MQTT 3.1.1, section 3.1.2)."""
    if body.startswith(b"\0\4MQTT\4"):
        return
    refused = Refused(UNACCEPTABLE_PROTOCOL_VERSION)
    if body.startswith(b"\0\4MQTT\5"):
        refused.response = NOT_VERSION_5
    elif not body.startswith((b"\0\4MQTT", b"\0\6MQIsdp")):
        raise Malformed("another protocol")
    raise refused


def _is_broken(connect: ConnectPacket) -> bool:
    missing = (
        (connect.username_flag and connect.username is None)
        or (connect.password_flag and connect.password is None)
        or (connect.will_flag and connect.will_message is None)
    )
    texts = (connect.client_id, connect.username, connect.will_topic)
    nul = any("\0" in text for text in texts if text)
    return missing or nul or connect.reserved_flag or connect.will_qos > MAX_QOS


def _limit_filters(body: bytes, options: int) -> None:
    """Raises Malformed if there are too many filters: parsing them would take too long.

    `options`: bytes after each filter.
    """
    at, count = 2, 0
    while at < len(body):
        at += 2 + int.from_bytes(body[at : at + 2]) + options
        count += 1
        if count > MAX_FILTERS:
            raise Malformed(f"more than {MAX_FILTERS} filters in one packet")


def _body(packet: bytes) -> bytes:
    start = next(at for at, byte in enumerate(packet[1:], 2) if not byte & 0x80)
    return packet[start:]
