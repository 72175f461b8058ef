"""What a device may try with what is not its own. Every broker has to withstand the same list.

An attempt returns what got through; nothing is as it should be. None needs a pause: whether
something did *not* arrive shows by a later message on the same way, `MARK`, that did.
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
    """A user of the broker; `topics`: of a device, which may do with them what is its right."""

    username: str
    password: str
    port: int
    topics: Topics


@dataclass(frozen=True, slots=True)
class Target:
    """`thief` is who tries, `victim` another device of the same owner.

    `observer` may read and write everything, at a port of its own where the broker has one.
    """

    host: str
    thief: Party
    victim: Party
    observer: Party

    def client(self, party: Party, **values: Any) -> PahoClient:
        password = values.pop("password", party.password)
        username = values.pop("username", party.username)
        return PahoClient(party.port, username, password, host=self.host, **values)

    @contextmanager
    def watcher(self) -> Iterator[PahoClient]:
        """Hears everything."""
        with self.client(self.observer, client_id=f"watcher-{uuid.uuid4().hex}") as watcher:
            assert all(watcher.subscribe(filter) for filter in ("#", SYSTEM))
            yield watcher


Attempt = Callable[[Target], list[str]]


def _entering(**values: Any) -> Attempt:
    def attempt(target: Target) -> list[str]:
        with target.client(target.thief, **values) as client:
            return ["connected"] if client.connected else []

    return attempt


def _as_the_victim(target: Target) -> list[str]:
    return _entering(username=target.victim.username)(target)


def _publishing(topic_of: Callable[[Target], str], *, retain: bool = False) -> Attempt:
    def attempt(target: Target) -> list[str]:
        secret = uuid.uuid4().hex
        with target.watcher() as watcher, target.client(target.thief) as thief:
            thief.publish(topic_of(target), secret, retain=retain)
            _let_pass(target, thief, watcher)
            return _with(secret, watcher) + _retained(target, secret)

    return attempt


def _by_a_topic_alias(target: Target) -> list[str]:
    """MQTT 5, section 3.3.2.3.4: the second message names its topic by a number only."""
    secret = uuid.uuid4().hex
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.TopicAlias = 1
    with (
        target.watcher() as watcher,
        target.client(target.thief, version=MQTTProtocolVersion.MQTTv5) as thief,
    ):
        if thief.connected:
            for topic in (target.victim.topics.config, ""):
                thief.publish(topic, secret, properties=properties)
        _let_pass(target, thief, watcher)
        return _with(secret, watcher)


def _dying(topic_of: Callable[[Target], str], *, retain: bool = False) -> Attempt:
    """With a last will."""

    def attempt(target: Target) -> list[str]:
        secret = uuid.uuid4().hex
        with target.watcher() as watcher:
            dying = target.client(target.thief)
            dying.client.will_set(topic_of(target), secret, 1, retain)
            if dying.connect():
                dying.cut_line()
            dying.stop()
            # Same client id: the broker has to be done with the one before.
            with target.client(target.thief) as thief:
                _let_pass(target, thief, watcher)
            return _with(secret, watcher) + _retained(target, secret)

    return attempt


def _reading(filter_of: Callable[[Target], str], **values: Any) -> Attempt:
    def attempt(target: Target) -> list[str]:
        with target.watcher() as speaker, target.client(target.thief, **values) as thief:
            _tell_secrets(target, speaker, retain=True)
            thief.subscribe(filter_of(target))
            _tell_secrets(target, speaker, retain=False)
            _hear_mark(thief, target.thief.topics.config, speaker)
            _forget_secrets(target, speaker)
            return sorted(thief.topics() - {target.thief.topics.config})

    return attempt


def _reading_what_was_queued(target: Target) -> list[str]:
    own = target.thief.topics.config
    _forget_session(target, target.thief)
    with target.watcher() as speaker:
        with target.client(target.thief, clean=False) as present:
            present.subscribe(own)
            present.subscribe("#")
        _tell_secrets(target, speaker, retain=False)
        with target.client(target.thief, clean=False) as back:
            _hear_mark(back, own, speaker)
    _forget_session(target, target.thief)
    return sorted(back.topics() - {own})


def _throwing_out(target: Target) -> list[str]:
    """By the client id of the other."""
    victim = target.victim.username
    with target.client(target.victim) as present, target.client(target.thief, client_id=victim):
        return [] if present.alive() else [f"{victim} was thrown out"]


def _taking_the_session(target: Target) -> list[str]:
    """By the client id of the other, who is away, and for whom a message waits."""
    victim, config = target.victim.username, target.victim.topics.config
    _forget_session(target, target.victim)
    with target.client(target.victim, clean=False) as present:
        present.subscribe(config)
    with target.watcher() as speaker:
        speaker.sent(config, "secret")
        with target.client(target.thief, client_id=victim, clean=False) as thief:
            _hear_mark(thief, target.thief.topics.config, speaker)
        with target.client(target.victim, clean=False) as back:
            _hear_mark(back, config, speaker)
    _forget_session(target, target.victim)
    lost = [] if (config, "secret") in back.received else [f"a message to {victim} is lost"]
    return sorted(thief.topics() - {target.thief.topics.config}) + lost


def _hear_mark(client: PahoClient, topic: str, speaker: PahoClient) -> None:
    """So whatever was on the way to the client before has arrived."""
    if not client.ended:
        client.subscribe(topic)
        speaker.sent(topic, MARK)
        client.wait(lambda: (topic, MARK) in client.received)


def _forget_session(target: Target, party: Party) -> None:
    with target.client(party, clean=True) as client:
        assert client.connected


def _tell_secrets(target: Target, speaker: PahoClient, *, retain: bool) -> None:
    for topic in _leaves(target.victim.topics):
        speaker.sent(topic, "secret", retain=retain)


def _forget_secrets(target: Target, speaker: PahoClient) -> None:
    for topic in _leaves(target.victim.topics):
        speaker.sent(topic, "", retain=True)


def _leaves(topics: Topics) -> tuple[str, ...]:
    return topics.data, topics.config, topics.state, topics.status


def _let_pass(target: Target, thief: PahoClient, watcher: PahoClient) -> None:
    """Until the watcher has heard what the thief sent before, if it was to hear it."""
    own, mark = target.thief.topics.data, uuid.uuid4().hex
    if not thief.ended:
        thief.publish(own, mark)
        thief.wait(lambda: (own, mark) in watcher.received)
    if thief.ended:
        watcher.sent(own, mark)
    watcher.wait(lambda: (own, mark) in watcher.received)
    assert not watcher.ended


def _with(secret: str, watcher: PahoClient) -> list[str]:
    return [topic for topic, payload in watcher.received if payload == secret]


def _retained(target: Target, secret: str) -> list[str]:
    """What is kept for those who come later; and it is deleted."""
    mark = uuid.uuid4().hex
    with target.watcher() as late:
        late.sent(target.thief.topics.data, mark)
        late.wait(lambda: (target.thief.topics.data, mark) in late.received)
        kept = _with(secret, late)
        for topic in kept:
            late.sent(topic, "", retain=True)
        return [f"{topic} (retained)" for topic in kept]


ATTEMPTS: dict[str, Attempt] = {
    "anonymous": _entering(username=None),
    "anonymous with a client id": _entering(username=None, client_id="rollcall"),
    "an empty user name": _entering(username=""),
    "a wrong password": _entering(password="wrong"),
    "an empty password": _entering(password=""),
    "no password": _entering(password=None),
    "an unknown user": _entering(username="nobody"),
    "another's user name with its own password": _as_the_victim,
    "publish to its own config": _publishing(lambda t: t.thief.topics.config, retain=True),
    "publish another's measurements": _publishing(lambda t: t.victim.topics.data),
    "publish another's config": _publishing(lambda t: t.victim.topics.config),
    "publish another's state": _publishing(lambda t: t.victim.topics.state),
    "publish another's status": _publishing(lambda t: t.victim.topics.status),
    "retain another's measurements": _publishing(lambda t: t.victim.topics.data, retain=True),
    "retain another's config": _publishing(lambda t: t.victim.topics.config, retain=True),
    "retain another's status": _publishing(lambda t: t.victim.topics.status, retain=True),
    "publish below its own": _publishing(lambda t: f"{t.thief.topics.data}/more"),
    "publish beside its own": _publishing(lambda t: f"{t.thief.topics.data}x"),
    "publish above its own": _publishing(lambda t: t.thief.topics.data.rpartition("/")[0]),
    "publish with a slash more": _publishing(lambda t: f"/{t.thief.topics.data}"),
    "publish in other letters": _publishing(lambda t: t.thief.topics.data.upper()),
    "publish to $SYS": _publishing(lambda _: SYSTEM),
    "publish by a topic alias": _by_a_topic_alias,
    "a last will on another's status": _dying(lambda t: t.victim.topics.status),
    "a last will kept on another's config": _dying(lambda t: t.victim.topics.config, retain=True),
    "a last will on its own config": _dying(lambda t: t.thief.topics.config),
    "read #": _reading(lambda _: "#"),
    "read +/+/+/+": _reading(lambda _: "+/+/+/+"),
    "read +/+/+/+/config": _reading(lambda _: "+/+/+/+/config"),
    "read +/#": _reading(lambda _: "+/#"),
    "read its owner's": _reading(lambda t: t.victim.topics.data.split("/")[0] + "/#"),
    "read its own and below": _reading(lambda t: f"{t.victim.topics.data}/#"),
    "read another's measurements": _reading(lambda t: t.victim.topics.data),
    "read another's config": _reading(lambda t: t.victim.topics.config),
    "read another's status": _reading(lambda t: t.victim.topics.status),
    "read $SYS/#": _reading(lambda _: "$SYS/#"),
    "read a share of everything": _reading(lambda _: "$share/g/#"),
    "read a share of another's config": _reading(lambda t: f"$share/g/{t.victim.topics.config}"),
    "read # by MQTT 5": _reading(lambda _: "#", version=MQTTProtocolVersion.MQTTv5),
    "read what was queued": _reading_what_was_queued,
    "throw out another": _throwing_out,
    "take another's session": _taking_the_session,
}
