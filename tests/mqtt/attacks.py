"""Attacks of one device on another device's topics and session. Every broker must block them all.

An attack returns its successes; an empty list means that it was blocked. No attack waits for a
fixed time: a message did not arrive if the later message `MARK` on the same connection did.
"""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from domain.mqtt.topics import Topics
from tests.mqtt.paho_client import PahoClient

MARK = "mark"
SYSTEM = "$SYS/broker/rollcall"


@dataclass(frozen=True, slots=True)
class Party:
    """A user of the broker. `topics`: the topics of the device."""

    username: str
    password: str
    port: int
    topics: Topics


@dataclass(frozen=True, slots=True)
class Target:
    """`attacker` and `victim` are devices of the same owner.

    `observer` may read and write all topics; it uses the broker's second port, if there is one.
    """

    host: str
    attacker: Party
    victim: Party
    observer: Party

    def client(self, party: Party, **values: Any) -> PahoClient:
        password = values.pop("password", party.password)
        username = values.pop("username", party.username)
        return PahoClient(party.port, username, password, host=self.host, **values)

    @contextmanager
    def watcher(self) -> Iterator[PahoClient]:
        """A client that is subscribed to all topics."""
        with self.client(self.observer, client_id=f"watcher-{uuid.uuid4().hex}") as watcher:
            assert all(watcher.subscribe(filter) for filter in ("#", SYSTEM))
            yield watcher


Attack = Callable[[Target], list[str]]


def _connect(**values: Any) -> Attack:
    def attack(target: Target) -> list[str]:
        with target.client(target.attacker, **values) as client:
            return ["connected"] if client.connected else []

    return attack


def _connect_as_victim(target: Target) -> list[str]:
    return _connect(username=target.victim.username)(target)


def _publish(topic_of: Callable[[Target], str], *, retain: bool = False) -> Attack:
    def attack(target: Target) -> list[str]:
        secret = uuid.uuid4().hex
        with target.watcher() as watcher, target.client(target.attacker) as attacker:
            attacker.publish(topic_of(target), secret, retain=retain)
            _wait_for_mark(target, attacker, watcher)
            return _topics_with(secret, watcher) + _retained(target, secret)

    return attack


def _publish_by_topic_alias(target: Target) -> list[str]:
    """The second message names its topic only by a number (MQTT 5, section 3.3.2.3.4)."""
    secret = uuid.uuid4().hex
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.TopicAlias = 1
    with (
        target.watcher() as watcher,
        target.client(target.attacker, version=MQTTProtocolVersion.MQTTv5) as attacker,
    ):
        if attacker.connected:
            for topic in (target.victim.topics.config, ""):
                attacker.publish(topic, secret, properties=properties)
        _wait_for_mark(target, attacker, watcher)
        return _topics_with(secret, watcher)


def _publish_by_last_will(topic_of: Callable[[Target], str], *, retain: bool = False) -> Attack:
    """Publish by a last will."""

    def attack(target: Target) -> list[str]:
        secret = uuid.uuid4().hex
        with target.watcher() as watcher:
            doomed = target.client(target.attacker)
            doomed.client.will_set(topic_of(target), secret, 1, retain)
            if doomed.connect():
                doomed.abort_connection()
            doomed.stop()
            # Same client id: the broker has finished the first connection, including its will.
            with target.client(target.attacker) as attacker:
                _wait_for_mark(target, attacker, watcher)
            return _topics_with(secret, watcher) + _retained(target, secret)

    return attack


def _read(filter_of: Callable[[Target], str], **values: Any) -> Attack:
    def attack(target: Target) -> list[str]:
        with target.watcher() as publisher, target.client(target.attacker, **values) as attacker:
            _publish_secrets(target, publisher, retain=True)
            attacker.subscribe(filter_of(target))
            _publish_secrets(target, publisher, retain=False)
            _receive_mark(attacker, target.attacker.topics.config, publisher)
            _clear_secrets(target, publisher)
            return sorted(attacker.topics() - {target.attacker.topics.config})

    return attack


def _read_queued(target: Target) -> list[str]:
    config = target.attacker.topics.config
    _end_session(target, target.attacker)
    with target.watcher() as publisher:
        with target.client(target.attacker, clean=False) as connected:
            connected.subscribe(config)
            connected.subscribe("#")
        _publish_secrets(target, publisher, retain=False)
        with target.client(target.attacker, clean=False) as back:
            _receive_mark(back, config, publisher)
    _end_session(target, target.attacker)
    return sorted(back.topics() - {config})


def _take_over_connection(target: Target) -> list[str]:
    """Connect with the client id of the victim."""
    victim = target.victim.username
    with (
        target.client(target.victim) as connected,
        target.client(target.attacker, client_id=victim),
    ):
        return [] if connected.alive() else [f"{victim} was disconnected"]


def _take_over_session(target: Target) -> list[str]:
    """Connect with the client id of the victim, which is offline and has a queued message."""
    victim, config = target.victim.username, target.victim.topics.config
    _end_session(target, target.victim)
    with target.client(target.victim, clean=False) as connected:
        connected.subscribe(config)
    with target.watcher() as publisher:
        publisher.sent(config, "secret")
        with target.client(target.attacker, client_id=victim, clean=False) as attacker:
            _receive_mark(attacker, target.attacker.topics.config, publisher)
        with target.client(target.victim, clean=False) as back:
            _receive_mark(back, config, publisher)
    _end_session(target, target.victim)
    lost = [] if (config, "secret") in back.received else [f"a message to {victim} is lost"]
    return sorted(attacker.topics() - {target.attacker.topics.config}) + lost


def _receive_mark(client: PahoClient, topic: str, publisher: PahoClient) -> None:
    """Wait for a mark, so that all earlier messages to the client have arrived."""
    if not client.ended:
        client.subscribe(topic)
        publisher.sent(topic, MARK)
        client.wait(lambda: (topic, MARK) in client.received)


def _end_session(target: Target, party: Party) -> None:
    with target.client(party, clean=True) as client:
        assert client.connected


def _publish_secrets(target: Target, publisher: PahoClient, *, retain: bool) -> None:
    for topic in _leaves(target.victim.topics):
        publisher.sent(topic, "secret", retain=retain)


def _clear_secrets(target: Target, publisher: PahoClient) -> None:
    for topic in _leaves(target.victim.topics):
        publisher.sent(topic, "", retain=True)


def _leaves(topics: Topics) -> tuple[str, ...]:
    return topics.data, topics.config, topics.state, topics.status


def _wait_for_mark(target: Target, attacker: PahoClient, watcher: PahoClient) -> None:
    """Wait until the watcher has received all that the broker lets through of the attacker."""
    topic, mark = target.attacker.topics.data, uuid.uuid4().hex
    if not attacker.ended:
        attacker.publish(topic, mark)
        attacker.wait(lambda: (topic, mark) in watcher.received)
    if attacker.ended:
        watcher.sent(topic, mark)
    watcher.wait(lambda: (topic, mark) in watcher.received)
    assert not watcher.ended


def _topics_with(secret: str, watcher: PahoClient) -> list[str]:
    return [topic for topic, payload in watcher.received if payload == secret]


def _retained(target: Target, secret: str) -> list[str]:
    """Return the topics that retain the secret, and clear them."""
    mark = uuid.uuid4().hex
    with target.watcher() as reader:
        reader.sent(target.attacker.topics.data, mark)
        reader.wait(lambda: (target.attacker.topics.data, mark) in reader.received)
        topics = _topics_with(secret, reader)
        for topic in topics:
            reader.sent(topic, "", retain=True)
        return [f"{topic} (retained)" for topic in topics]


ATTACKS: dict[str, Attack] = {
    "anonymous": _connect(username=None),
    "anonymous with a client id": _connect(username=None, client_id="rollcall"),
    "an empty user name": _connect(username=""),
    "a wrong password": _connect(password="wrong"),
    "an empty password": _connect(password=""),
    "no password": _connect(password=None),
    "an unknown user": _connect(username="unknown"),
    "another's user name with its own password": _connect_as_victim,
    "publish to its own config": _publish(lambda t: t.attacker.topics.config, retain=True),
    "publish another's measurements": _publish(lambda t: t.victim.topics.data),
    "publish another's config": _publish(lambda t: t.victim.topics.config),
    "publish another's state": _publish(lambda t: t.victim.topics.state),
    "publish another's status": _publish(lambda t: t.victim.topics.status),
    "retain another's measurements": _publish(lambda t: t.victim.topics.data, retain=True),
    "retain another's config": _publish(lambda t: t.victim.topics.config, retain=True),
    "retain another's status": _publish(lambda t: t.victim.topics.status, retain=True),
    "publish below its own": _publish(lambda t: f"{t.attacker.topics.data}/more"),
    "publish to a similar name": _publish(lambda t: f"{t.attacker.topics.data}x"),
    "publish above its own": _publish(lambda t: t.attacker.topics.data.rpartition("/")[0]),
    "publish with a leading slash": _publish(lambda t: f"/{t.attacker.topics.data}"),
    "publish in upper case": _publish(lambda t: t.attacker.topics.data.upper()),
    "publish to $SYS": _publish(lambda _: SYSTEM),
    "publish by a topic alias": _publish_by_topic_alias,
    "a last will on another's status": _publish_by_last_will(lambda t: t.victim.topics.status),
    "a retained last will on another's config": _publish_by_last_will(
        lambda t: t.victim.topics.config, retain=True
    ),
    "a last will on its own config": _publish_by_last_will(lambda t: t.attacker.topics.config),
    "read #": _read(lambda _: "#"),
    "read +/+/+/+": _read(lambda _: "+/+/+/+"),
    "read +/+/+/+/config": _read(lambda _: "+/+/+/+/config"),
    "read +/#": _read(lambda _: "+/#"),
    "read all of its owner": _read(lambda t: t.victim.topics.data.split("/")[0] + "/#"),
    "read its own and below": _read(lambda t: f"{t.victim.topics.data}/#"),
    "read another's measurements": _read(lambda t: t.victim.topics.data),
    "read another's config": _read(lambda t: t.victim.topics.config),
    "read another's status": _read(lambda t: t.victim.topics.status),
    "read $SYS/#": _read(lambda _: "$SYS/#"),
    "read a share of everything": _read(lambda _: "$share/g/#"),
    "read a share of another's config": _read(lambda t: f"$share/g/{t.victim.topics.config}"),
    "read # by MQTT 5": _read(lambda _: "#", version=MQTTProtocolVersion.MQTTv5),
    "read what was queued": _read_queued,
    "take over another's connection": _take_over_connection,
    "take over another's session": _take_over_session,
}
