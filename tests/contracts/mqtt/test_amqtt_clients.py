"""amqtt's packets, and the behaviour of the embedded broker for clients."""

from amqtt.adapters import BufferReader
from amqtt.mqtt import packet_class
from amqtt.mqtt.connack import ConnackPacket
from amqtt.mqtt.connect import ConnectPacket, ConnectPayload, ConnectVariableHeader
from amqtt.mqtt.packet import MQTTFixedHeader
from amqtt.mqtt.publish import PublishPacket
from amqtt.mqtt.subscribe import SubscribePacket
from amqtt.session import ApplicationMessage

from mqtt.embedded import EmbeddedBroker
from tests.mqtt.embedded.broker import (
    ACCEPTED,
    DISCONNECT,
    Paho,
    Raw,
    Users,
    connect,
    publish,
    served,
    subscribe,
    until,
)

LAMP = "ann/hall/light/lamp"
CONFIG = f"{LAMP}/config"
RESUMED = b"\x20\2\1\0"
GRANTED = b"\x90\3\0\1\1"


async def test_packets_parse_and_serialize() -> None:
    """The `mqtt/` package parses complete packets from bytes, and builds packets."""
    sent = connect("lamp", "id", clean=False, keepalive=7)
    header = MQTTFixedHeader(1, 0, len(sent) - 2)
    packet = await packet_class(header).from_stream(BufferReader(sent[2:]), fixed_header=header)
    assert isinstance(packet, ConnectPacket)
    assert (packet.client_id, packet.username, packet.password) == ("id", "lamp", "secret")
    assert (packet.clean_session_flag, packet.keep_alive) == (False, 7)
    assert (packet.client_id_is_random, packet.reserved_flag) == (False, False)
    assert (packet.will_flag, packet.will_retain_flag, packet.will_qos) == (False, False, 0)
    assert (packet.will_topic, packet.will_message) == (None, None)
    assert (packet.username_flag, packet.password_flag) == (True, True)
    assert ConnackPacket.build(0, 5).to_bytes() == b"\x20\2\0\5"
    variable = ConnectVariableHeader(0xC0, 7)
    payload = ConnectPayload("id", username="lamp", password="secret")
    made = ConnectPacket(variable_header=variable, payload=payload).to_bytes()
    assert made == sent
    assert SubscribePacket.build([(CONFIG, 1)], 1).to_bytes() == subscribe(CONFIG)
    made = PublishPacket.build("t", b"x", 1, dup_flag=False, qos=1, retain=False).to_bytes()
    assert made == publish("t", b"x", 1)
    outgoing = ApplicationMessage(None, "t", 0, b"x", retain=False).build_publish_packet()
    assert outgoing.to_bytes() == publish("t", b"x")


async def test_take_over_keeps_session_and_publishes_will() -> None:
    """Messages published meanwhile arrive, and the will of the first connection is published."""
    users = Users()
    async with served(users) as embedded, Paho(embedded.port, "rollcall") as server:
        await server.subscribe("#")
        will = {"topic": f"{LAMP}/status", "payload": b"offline", "qos": 1, "retain": True}
        first = Paho(embedded.port, "lamp", "same", will=will, clean_session=False)
        await first.connect_reason()
        await first.subscribe(CONFIG)
        second = Paho(embedded.port, "lamp", "same", clean_session=False)
        await second.connect_reason()
        assert second.session_present
        await until(lambda: (f"{LAMP}/status", b"offline") in server.received)
        assert first.lost
        second.drop_connection()
        await _only_one_client_left(embedded)
        await server.publish(CONFIG, b"1", retain=True)
        async with Raw.to(embedded.port, connect("lamp", "same", clean=False)) as third:
            await third.expect(RESUMED, publish(CONFIG, b"1", 1))
            third.writer.write(b"\x40\2\0\1" + DISCONNECT)
            assert await third.rest() == b""
        async with Raw.to(embedded.port, connect("lamp", "new"), subscribe(CONFIG)) as fourth:
            retained = bytes([0x33]) + publish(CONFIG, b"1", 1)[1:]
            await fourth.expect(ACCEPTED, GRANTED, retained)
        await first.leave()
        await second.leave()


async def _only_one_client_left(embedded: EmbeddedBroker) -> None:
    assert embedded._broker
    broker = embedded._broker
    await until(lambda: len(broker.clients) == 1)
