"""The MQTT messages between the server and devices, encoded and parsed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from domain.inputs import MAX_VERSION
from domain.mqtt.topics import config_topic, same_owner, topics_of

MAX_STATE_BYTES = 1_024
MAX_ERROR = 200
MAX_FIRMWARE = 64
_compact = json.JSONEncoder(separators=(",", ":")).encode
STATUSES = {b"online": True, b"offline": False}


@dataclass(frozen=True, slots=True)
class RetainedMessage:
    """A retained message. An empty payload removes the one that the broker has for the topic."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class ConfigMessage:
    """The desired config of a device. `former`: base topics where it may still be subscribed.

    `topic`: its current base topic. `at`: when the config was created, in seconds since 1970.
    """

    topic: str
    version: int
    interval_seconds: int
    qos: int
    at: int
    listen: Sequence[str] = ()
    former: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class StateReport:
    """Which config version a device applied, or failed to apply (`error`).

    `fresh`: published just now. False: the broker had retained it, so its age is unknown.
    """

    version: int
    firmware: str | None = None
    error: str | None = None
    fresh: bool = True


def config_messages(desired: ConfigMessage) -> tuple[RetainedMessage, ...]:
    """Return a device's config for the config topics of its current and former base topics.

    Each has at most 256 bytes with its topic, not counting filters and a new base topic.
    """
    numbers = (desired.version, desired.interval_seconds, desired.qos, desired.at)
    start = b'{"v":%d,"interval":%d,"qos":%d,"at":%d' % numbers
    listen = b',"listen":' + _compact(list(desired.listen)).encode() if desired.listen else b""
    move = b',"topic":' + _compact(desired.topic).encode() if desired.former else b""
    bases = (desired.topic, *desired.former)
    return tuple(
        RetainedMessage(
            config_topic(base),
            # A former owner must not see the filters of the new one.
            start + (listen if same_owner(base, desired.topic) else b"") + move + b"}",
        )
        for base in bases
    )


def clear_messages(base: str) -> tuple[RetainedMessage, ...]:
    """Return the messages that remove everything retained for a device."""
    topics = topics_of(base)
    return tuple(
        RetainedMessage(t, b"") for t in (topics.config, topics.state, topics.status, base)
    )


def parse_state(payload: bytes) -> StateReport | None:
    """Return None if the payload is not a valid report."""
    if len(payload) > MAX_STATE_BYTES:
        return None
    try:
        values = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict):
        return None
    version = values.get("v")
    if type(version) is not int or not 1 <= version <= MAX_VERSION:
        return None
    return StateReport(
        version, _text(values.get("fw"), MAX_FIRMWARE), _text(values.get("error"), MAX_ERROR)
    )


def parse_status(payload: bytes) -> bool | None:
    """Return True for online, False for offline, None if the payload is not a valid status."""
    return STATUSES.get(payload)


def _text(value: object, max_length: int) -> str | None:
    """Return the printable characters, stripped and cut; None if nothing is left."""
    if not isinstance(value, str):
        return None
    return "".join(c for c in value if c.isprintable()).strip()[:max_length] or None
