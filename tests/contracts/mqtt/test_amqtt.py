"""Undocumented behaviour of amqtt that `mqtt/embedded/` relies on."""

import asyncio
import inspect
from collections.abc import AsyncIterator
from typing import Any

import amqtt.broker
import pytest
import pytest_asyncio
from amqtt.adapters import StreamWriterAdapter
from amqtt.contexts import BrokerConfig, ListenerConfig, ListenerType
from amqtt.mqtt.disconnect import DisconnectPacket
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.mqtt.protocol.handler import ProtocolHandler
from amqtt.mqtt.puback import PubackPacket
from amqtt.session import ApplicationMessage, Session

from mqtt.embedded.broker import Broker
from mqtt.embedded.client import Client
from mqtt.embedded.handler import PACKET_HANDLERS, Handler
from mqtt.embedded.packet_stream import PacketStream
from tests.mqtt.embedded.broker import publish, until

LAMP = "ann/hall/light/lamp"
CONFIG = f"{LAMP}/config"
RESUMED = b"\x20\2\1\0"
GRANTED = b"\x90\3\0\1\1"

# Methods that subclasses override. amqtt must call them by these names, with these arguments.
OVERRIDDEN = {
    (Broker, "add_subscription"): ["subscription", "session"],
    (Broker, "retain_message"): ["source_session", "topic_name", "data", "qos"],
    (Broker, "_broadcast_message"): ["session", "topic", "data", "force_qos"],
    (Broker, "_del_all_subscriptions"): ["session"],
    (Handler, "handle_publish"): ["publish_packet"],
    (Handler, "handle_pubrel"): ["pubrel"],
    (Handler, "handle_subscribe"): ["subscribe"],
    (Handler, "handle_unsubscribe"): ["unsubscribe"],
    (PacketStream, "write"): ["data"],
    (PacketStream, "drain"): [],
    (PacketStream, "close"): [],
}
# Methods that subclasses call.
CALLED = {
    amqtt.broker.Broker: {
        "start": [],
        "shutdown": [],
        "_session_monitor": [],
        "_cleanup_session": ["client_id"],
        "_handle_disconnect": ["client_session", "handler", "disconnect_waiter"],
    },
    ProtocolHandler: {
        "_send_packet": ["packet"],
        "mqtt_publish": ["topic", "data", "qos", "retain", "ack_timeout"],
        "handle_puback": ["puback"],
        "handle_pubrec": ["pubrec"],
        "handle_pubcomp": ["pubcomp"],
        "handle_pingreq": ["pingreq"],
        "stop": [],
    },
    BrokerProtocolHandler: {
        "mqtt_connack_authorize": ["authorize"],
        "mqtt_acknowledge_subscription": ["packet_id", "return_codes"],
        "mqtt_acknowledge_unsubscription": ["packet_id"],
    },
}


class Recorder(amqtt.broker.Broker):
    """amqtt's broker. `calls`: its calls of the methods that `Broker` overrides."""

    def __init__(self) -> None:
        listener = ListenerConfig(type=ListenerType.EXTERNAL, bind="")
        config = BrokerConfig(
            listeners={"default": listener}, session_expiry_interval=1, plugins={}
        )
        super().__init__(config)
        self.calls: list[tuple[Any, ...]] = []

    async def _broadcast_message(
        self, _: Any, topic: Any, data: Any, force_qos: Any = None
    ) -> None:
        self.calls.append(("_broadcast_message", topic, data, force_qos))

    async def retain_message(self, _: Any, topic_name: Any, data: Any, qos: Any = None) -> None:
        self.calls.append(("retain_message", topic_name, data, qos))
        await super().retain_message(None, topic_name, data, qos)

    async def _del_all_subscriptions(self, session: Any) -> None:
        self.calls.append(("_del_all_subscriptions", session.client_id))


class Sink(StreamWriterAdapter):
    """The writer of a handler. Like `PacketStream`, it has no stream of amqtt."""

    def __init__(self) -> None:
        self.is_closed = False
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    async def drain(self) -> None:
        """No-op: `write` stores the data at once."""

    async def close(self) -> None:
        self.is_closed = True


@pytest_asyncio.fixture
async def broker() -> AsyncIterator[Recorder]:
    broker = Recorder()
    await broker.start()
    yield broker
    await broker.shutdown()


def connected(broker: Recorder, client_id: str = "a") -> tuple[Session, BrokerProtocolHandler]:
    session = Session()
    session.client_id, session.clean_session = client_id, False
    handler = BrokerProtocolHandler(broker.plugins_manager, session)
    handler.writer = Sink()
    broker._sessions[client_id] = (session, handler)
    session.transitions.connect()
    return session, handler


def parameters(function: Any) -> list[str]:
    return [*inspect.signature(function).parameters][1:]


@pytest.mark.parametrize(("subclass", "name"), OVERRIDDEN)
def test_overridden_methods_exist_with_same_parameters(subclass: type, name: str) -> None:
    """For `Broker`, `Handler` and `PacketStream`."""
    base = subclass.__mro__[1]
    assert name in vars(subclass)
    assert parameters(getattr(base, name)) == OVERRIDDEN[subclass, name]


@pytest.mark.parametrize("owner", CALLED)
def test_called_methods_exist_with_same_parameters(owner: type) -> None:
    """For `Broker` and `Handler`."""
    found = {name: parameters(getattr(owner, name)) for name in CALLED[owner]}
    assert found == CALLED[owner]
    assert all(inspect.iscoroutinefunction(getattr(owner, name)) for name in CALLED[owner])


def test_every_client_packet_has_a_handler_method() -> None:
    """`Handler` finds the method by its name."""
    for name in PACKET_HANDLERS.values():
        assert inspect.iscoroutinefunction(getattr(BrokerProtocolHandler, name))


async def test_broker_attributes(broker: Recorder) -> None:
    """`Broker` reads these attributes; `EmbeddedBroker` ends the tasks."""
    assert (broker._sessions, broker._retained_messages) == ({}, {})
    assert broker._loop is asyncio.get_running_loop()
    assert broker.plugins_manager is not None
    tasks = [broker._broadcast_task, broker._session_monitor_task]
    assert all(isinstance(task, asyncio.Task) and not task.done() for task in tasks)
    assert broker._session_monitor_task is not broker._broadcast_task


def test_session_attributes() -> None:
    """`Client` sets them, and takes over `retained_messages` of the previous session."""
    session = Session()
    for name in ("client_id", "clean_session", "will_topic", "will_message", "will_qos"):
        assert getattr(session, name) is None
    assert (session.will_flag, session.keep_alive, session.parent) == (False, 0, 0)
    assert session.last_disconnect_time is None
    assert session.retained_messages.qsize() == 0
    session.transitions.connect()
    assert session.transitions.state == "connected"
    session.transitions.disconnect()
    assert session.transitions.state == "disconnected"
    assert session.last_disconnect_time
    assert {"resume", "keep", "is_silent", "connected"}.isdisjoint(dir(Session))
    assert issubclass(Client, Session)


@pytest.mark.parametrize("orderly", [True, False])
async def test_will_is_published_without_disconnect_packet(broker: Recorder, orderly: bool) -> None:
    """For `Broker`: without DISCONNECT, the will is published and retained."""
    session, handler = connected(broker)
    session.will_flag, session.will_retain = True, True
    session.will_topic, session.will_message, session.will_qos = "w", b"gone", 1
    disconnected: asyncio.Future[Any] = broker._loop.create_future()
    disconnected.set_result(DisconnectPacket() if orderly else None)
    await broker._handle_disconnect(session, handler, disconnected)
    sent = [("_broadcast_message", "w", b"gone", 1), ("retain_message", "w", b"gone", 1)]
    assert broker.calls == ([] if orderly else sent)
    assert session.transitions.state == "disconnected"
    assert isinstance(handler.writer, Sink)
    assert handler.writer.is_closed
    assert broker._sessions == {"a": (session, handler)}


async def test_cleanup_session_removes_everything(broker: Recorder) -> None:
    """For `Broker`: no data of the session is left."""
    session, handler = connected(broker)
    session.retained_messages.put_nowait(ApplicationMessage(None, "t", 1, b"x", retain=False))
    await broker._cleanup_session("a")
    assert broker._sessions == {}
    assert broker.calls == [("_del_all_subscriptions", "a")]
    assert session.retained_messages.qsize() == 0
    assert isinstance(handler.writer, Sink)
    assert handler.writer.is_closed


async def test_session_monitor_ends_expired_sessions(broker: Recorder) -> None:
    """`Broker.expire_sessions` runs `_session_monitor`, which ends sessions of absent clients."""
    young, _ = connected(broker, "young")
    old, _ = connected(broker, "old")
    old.transitions.disconnect()
    old.last_disconnect_time = 1
    await until(lambda: "old" not in broker._sessions)
    assert young.transitions.state == "connected"
    assert [*broker._sessions] == ["young"]


async def test_retain_message_stores_and_deletes(broker: Recorder) -> None:
    """`mqtt/embedded/broker.py` reads them. An empty message deletes its topic."""
    await broker.retain_message(None, "t", b"x", 1)
    retained = broker._retained_messages["t"]
    assert (retained.topic, retained.data, retained.qos, retained.source_session) == (
        "t",
        b"x",
        1,
        None,
    )
    await broker.retain_message(None, "t", b"")
    assert broker._retained_messages == {}


async def test_handler_writes_packets_and_waits_for_puback(broker: Recorder) -> None:
    """For `Handler`: it writes to `writer`, waits for PUBACK, and sends acknowledgements."""
    session, handler = connected(broker)
    sink = handler.writer
    assert isinstance(sink, Sink)
    session.parent = 1
    await handler.mqtt_connack_authorize(authorize=True)
    await handler.mqtt_acknowledge_subscription(1, [1])
    await handler.mqtt_acknowledge_unsubscription(2)
    await handler._send_packet(PubackPacket.build(3))
    assert sink.written == RESUMED + GRANTED + b"\xb0\2\0\2" + b"\x40\2\0\3"
    sink.written = b""
    sending = asyncio.create_task(handler.mqtt_publish(CONFIG, b"{}", 1, retain=False))
    await until(lambda: sink.written)
    assert sink.written == publish(CONFIG, b"{}", 1)
    assert not sending.done()
    await handler.handle_puback(PubackPacket.build(1))
    await sending
    assert session.inflight_out == {}
