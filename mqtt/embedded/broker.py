"""amqtt's broker with its faulty parts replaced."""

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import amqtt.broker
from amqtt.contexts import BrokerConfig, ListenerConfig, ListenerType
from amqtt.mqtt.connack import SERVER_UNAVAILABLE
from amqtt.mqtt.disconnect import DisconnectPacket
from amqtt.mqtt.publish import PublishPacket
from amqtt.session import ApplicationMessage, Session

from concurrency.tasks import end_all
from domain.mqtt.topics import covers
from mqtt.embedded.acl_cache import AclCache
from mqtt.embedded.client import Client, user_prefix
from mqtt.embedded.handler import REFUSED, Handler
from mqtt.embedded.limits import BrokerLimits
from mqtt.embedded.packets import Refused
from mqtt.embedded.subscription_tree import SubscriptionTree

MAX_LEVELS = 64
# Retained topics compared before the event loop runs other tasks.
YIELD_EVERY = 256


class Broker(amqtt.broker.Broker):
    """Uses amqtt's sessions, wills, retained messages and packet sending. Replaces four parts:

    - connecting: amqtt changes a session before it authenticates the client
    - matching: amqtt compares each message with each filter
    - the message queue: amqtt's is unbounded
    - reconnecting: amqtt sends each retained message that any client is subscribed to
    """

    def __init__(self, acl_cache: AclCache, limits: BrokerLimits) -> None:
        listener = ListenerConfig(type=ListenerType.EXTERNAL, bind="")
        super().__init__(
            BrokerConfig(
                listeners={"default": listener},
                session_expiry_interval=limits.session_seconds,
                plugins={},
            )
        )
        self.acl_cache, self.limits = acl_cache, limits
        self.subscribers = SubscriptionTree()

    @property
    def clients(self) -> list[Client]:
        """All connected clients."""
        sessions = (cast("Client", session) for session, _ in self._sessions.values())
        return [client for client in sessions if client.connected]

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """The tasks of amqtt itself. Its shutdown may leave them running."""
        return [task for task in (self._broadcast_task, self._session_monitor_task) if task]

    async def expire_sessions(self) -> None:
        """Run until cancelled. Replaces amqtt's own task, whose errors would not be noticed."""
        if self._session_monitor_task:
            await end_all([self._session_monitor_task])
        await self._session_monitor()

    async def serve(self, client: Client) -> None:
        """Serve the client until it disconnects. Raises Refused if it has too many sessions."""
        await self._take_over(client)
        handler = Handler(self, client)
        self._sessions[client.client_id] = (client, handler)
        client.transitions.connect()
        disconnect = None
        try:
            await handler.mqtt_connack_authorize(authorize=True)
            handler.deliver_queued()
            disconnect = await handler.serve()
        finally:
            await self._disconnected(client, handler, disconnect)

    async def publish(self, client: Client, packet: PublishPacket) -> None:
        topic, data = packet.topic_name or "", packet.data or b""
        if not await self.acl_cache.may_publish(client, topic):
            return
        await self._broadcast_message(client, topic, data, packet.qos)
        if packet.retain_flag:
            await self.retain_message(client, topic, data, packet.qos)

    async def retained_matching(self, filter: str) -> AsyncIterator[ApplicationMessage]:
        topics = [filter] if filter in self._retained_messages else [*self._retained_messages]
        for number, topic in enumerate(topics, 1):
            if covers(filter, topic) and (message := self._retained_messages.get(topic)):
                yield message
            if number % YIELD_EVERY == 0:
                await asyncio.sleep(0)

    async def add_subscription(self, subscription: tuple[str, int], session: Session) -> int:
        client, (filter, qos) = cast("Client", session), subscription
        full = len(client.filters) >= self.limits.filters and filter not in client.filters
        if full or filter.count("/") >= MAX_LEVELS:
            return REFUSED
        if not await self.acl_cache.may_subscribe(client, filter):
            return REFUSED
        client.filters[filter] = qos
        self.subscribers.add(filter, client.client_id, qos)
        return qos

    def remove_subscription(self, filter: str, client: Client) -> None:
        if client.filters.pop(filter, None) is not None:
            self.subscribers.remove(filter, client.client_id)

    async def retain_message(
        self,
        source_session: Session | None,  # noqa: ARG002
        topic_name: str | None,
        data: bytes | bytearray | None,
        qos: int | None = None,
    ) -> None:
        """Drop the source: it would keep the session of a disconnected client in memory."""
        await super().retain_message(None, topic_name, data, qos)

    async def _take_over(self, client: Client) -> None:
        """End an older connection of this client id and publish its will. amqtt keeps both open."""
        while (former := self._client(client.client_id)) and former.connected:
            former.stream.abort()
            await former.closed.wait()
        if former and not client.clean_session:
            client.resume(former)
            for filter in [f for f in client.filters if not client.rights.may_subscribe(f)]:
                self.remove_subscription(filter, client)
        elif former:
            await self._cleanup_session(client.client_id)
        else:
            await self._make_room(client)

    async def _make_room(self, client: Client) -> None:
        prefix = user_prefix(client.login.username)
        same_user = [client_id for client_id in self._sessions if client_id.startswith(prefix)]
        if client.login.token_id is None or len(same_user) < self.limits.sessions:
            return
        offline = [c for c in map(self._client, same_user) if c and not c.connected]
        if not offline:
            raise Refused(SERVER_UNAVAILABLE)
        oldest = min(offline, key=lambda c: c.last_disconnect_time or 0)
        await self._cleanup_session(oldest.client_id)

    async def _disconnected(
        self, client: Client, handler: Handler, disconnect: DisconnectPacket | None
    ) -> None:
        """Clean up. The will is published only if the client's last known rights allow it."""
        if not client.rights.may_publish(client.will_topic or ""):
            client.will_flag = False
        waiter: asyncio.Future[DisconnectPacket | None] = self._loop.create_future()
        waiter.set_result(disconnect)
        try:
            await self._handle_disconnect(client, handler, waiter)
            await handler.end_tasks()
            if client.clean_session:
                await self._cleanup_session(client.client_id)
        finally:
            client.closed.set()

    async def _broadcast_message(
        self,
        session: Session | None,  # noqa: ARG002
        topic: str | None,
        data: bytes | bytearray | None,
        force_qos: int | None = None,
    ) -> None:
        """Send at once, at most with the QoS of the publisher (MQTT 3.1.1, section 3.8.4)."""
        if topic is None:
            return
        for client_id, granted in self.subscribers.matching(topic).items():
            client, handler = cast("tuple[Client, Handler]", self._sessions[client_id])
            if not client.rights.may_receive(topic):
                continue
            qos = min(granted, force_qos or 0)
            message = ApplicationMessage(None, topic, qos, data or b"", retain=False)
            if client.connected:
                handler.deliver(message)
            else:
                client.queue_message(message, self.limits.queued_messages)

    async def _del_all_subscriptions(self, session: Session) -> None:
        for filter in [*cast("Client", session).filters]:
            self.remove_subscription(filter, cast("Client", session))

    def _client(self, client_id: str) -> Client | None:
        return cast("Client | None", self._sessions.get(client_id, (None, None))[0])
