"""Handles the packets of a connected client, and delivers messages to it."""

import asyncio
from typing import TYPE_CHECKING, Any

from amqtt.mqtt.constants import QOS_0, QOS_1, QOS_2
from amqtt.mqtt.disconnect import DisconnectPacket
from amqtt.mqtt.packet import (
    PINGREQ,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBSCRIBE,
    UNSUBSCRIBE,
)
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.mqtt.puback import PubackPacket
from amqtt.mqtt.pubcomp import PubcompPacket
from amqtt.mqtt.publish import PublishPacket
from amqtt.mqtt.pubrec import PubrecPacket
from amqtt.mqtt.pubrel import PubrelPacket
from amqtt.mqtt.subscribe import SubscribePacket
from amqtt.mqtt.unsubscribe import UnsubscribePacket
from amqtt.session import ApplicationMessage, OutgoingApplicationMessage

from concurrency.tasks import end_all
from concurrency.turns import Turns
from mqtt.embedded.client import Client
from mqtt.embedded.packet_stream import Malformed
from mqtt.embedded.packets import MAX_QOS, Packet, read_packet

if TYPE_CHECKING:
    from mqtt.embedded.broker import Broker

REFUSED = 0x80
PACKET_HANDLERS = {
    PUBLISH: "handle_publish",
    PUBACK: "handle_puback",
    PUBREC: "handle_pubrec",
    PUBREL: "handle_pubrel",
    PUBCOMP: "handle_pubcomp",
    SUBSCRIBE: "handle_subscribe",
    UNSUBSCRIBE: "handle_unsubscribe",
    PINGREQ: "handle_pingreq",
}
# Unacknowledged retained messages per client at a time.
WINDOW = 100


class Handler(BrokerProtocolHandler):
    """Handles packets one after the other.

    amqtt starts a task for each packet. It loses messages sent just before DISCONNECT, treats a
    DISCONNECT as a lost connection, and queues incoming messages without a limit.
    """

    def __init__(self, broker: "Broker", client: Client) -> None:
        super().__init__(broker.plugins_manager, client)
        self.broker, self.client = broker, client
        self.writer = client.stream
        self._deliveries: dict[asyncio.Task[OutgoingApplicationMessage], ApplicationMessage] = {}
        self._pending_filters: dict[str, int] = {}
        self._retained_task: asyncio.Task[None] | None = None

    async def serve(self) -> DisconnectPacket | None:
        """Handle packets until the connection ends. Return its DISCONNECT, or None without one."""
        try:
            turns = Turns()
            while True:
                data = await self.client.stream.packet()
                packet = await read_packet(data) if data else None
                if packet is None or isinstance(packet, DisconnectPacket):
                    return packet
                await self._handle(packet)
                await turns.give_way()
        except Malformed:
            pass
        return None

    def deliver_queued(self) -> None:
        """Deliver messages that were queued while the client was offline, by its present rights."""
        queued = self.client.retained_messages
        for message in [queued.get_nowait() for _ in range(queued.qsize())]:
            if self.client.rights.may_receive(message.topic):
                self.deliver(message)

    async def _handle(self, packet: Packet) -> None:
        name = PACKET_HANDLERS.get(packet.fixed_header.packet_type)
        if name is None:
            raise Malformed("a packet type that clients may not send")
        await getattr(self, name)(packet)

    async def handle_publish(self, publish_packet: PublishPacket) -> None:
        """Acknowledge and drop a message without rights: MQTT has no error for it (section 3.3.5).

        QoS 2 by method B of section 4.3.3: amqtt's waits for PUBREL in a task.
        """
        packet_id, qos = publish_packet.packet_id, publish_packet.qos
        if qos is None or qos > MAX_QOS or (qos and not packet_id):
            raise Malformed("QoS or packet id")
        if qos != QOS_2 or packet_id not in self.client.unreleased:
            await self.broker.publish(self.client, publish_packet)
        if packet_id and qos == QOS_1:
            await self._send_packet(PubackPacket.build(packet_id))
        elif packet_id and qos == QOS_2:
            self.client.unreleased.add(packet_id)
            if len(self.client.unreleased) > self.broker.limits.unsent_messages:
                raise Malformed("too many messages without PUBREL")
            await self._send_packet(PubrecPacket.build(packet_id))

    async def handle_pubrel(self, pubrel: PubrelPacket) -> None:
        self.client.unreleased.discard(pubrel.packet_id)
        await self._send_packet(PubcompPacket.build(pubrel.packet_id))

    async def handle_subscribe(self, subscribe: SubscribePacket) -> None:
        topics = subscribe.payload.topics if subscribe.payload else []
        if not topics or any(qos > MAX_QOS for _, qos in topics):
            raise Malformed("filters")
        turns, codes = Turns(), []
        for topic in topics:
            codes.append(await self.broker.add_subscription(topic, self.client))
            await turns.give_way()
        assert subscribe.variable_header  # noqa: S101
        await self.mqtt_acknowledge_subscription(subscribe.variable_header.packet_id, codes)
        self._pending_filters |= {
            filter: code for (filter, _), code in zip(topics, codes, strict=True) if code != REFUSED
        }
        if self._pending_filters and (self._retained_task is None or self._retained_task.done()):
            self._retained_task = asyncio.create_task(self._send_retained())

    async def handle_unsubscribe(self, unsubscribe: UnsubscribePacket) -> None:
        assert unsubscribe.payload and unsubscribe.variable_header  # noqa: S101, PT018
        for filter in unsubscribe.payload.topics:
            self.broker.remove_subscription(filter, self.client)
        await self.mqtt_acknowledge_unsubscription(unsubscribe.variable_header.packet_id)

    def deliver(self, message: ApplicationMessage) -> None:
        """Send without waiting. A client that acknowledges too slowly is disconnected."""
        stream = self.client.stream
        if stream.is_closed:
            self.client.queue_message(message, self.broker.limits.queued_messages)
        elif message.qos == QOS_0:
            stream.write(message.build_publish_packet().to_bytes())
        elif len(self._deliveries) >= self.broker.limits.unsent_messages:
            stream.abort()
        else:
            publishing = self.mqtt_publish(message.topic, message.data, message.qos, message.retain)
            task = asyncio.create_task(publishing)
            self._deliveries[task] = message
            task.add_done_callback(self._delivered)

    def _delivered(self, task: asyncio.Task[OutgoingApplicationMessage]) -> None:
        """Queue the message if it was not acknowledged: amqtt waits five seconds for that."""
        message = self._deliveries.pop(task)
        if task.cancelled() or task.exception():
            self.client.queue_message(message, self.broker.limits.queued_messages)

    async def _send_retained(self) -> None:
        while self._pending_filters and not self.client.stream.is_closed:
            filter, qos = self._pending_filters.popitem()
            async for message in self.broker.retained_matching(filter):
                await self._wait_for_window()
                if self.client.rights.may_receive(message.topic):
                    self.deliver(_as_retained(message, min(qos, message.qos or 0)))

    async def _wait_for_window(self) -> None:
        await self.client.stream.wait_writable()
        while len(self._deliveries) >= WINDOW:
            await asyncio.wait(self._deliveries, return_when=asyncio.FIRST_COMPLETED)

    async def end_tasks(self) -> None:
        """Cancel all remaining tasks. Call after `stop`."""
        tasks: list[asyncio.Task[Any]] = [*self._deliveries]
        if self._retained_task:
            tasks.append(self._retained_task)
        await end_all(tasks)


def _as_retained(message: ApplicationMessage, qos: int) -> ApplicationMessage:
    return ApplicationMessage(None, message.topic, qos, message.data, retain=True)
