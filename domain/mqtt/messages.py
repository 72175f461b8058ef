"""The messages between Rollcall and running devices: what is in them, as bytes and back."""

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
    """A message that the broker keeps for its topic; an empty one removes what it keeps."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class ConfigMessage:
    """What a device is told. `former`: base topics of it where it may still listen.

    `at`: when the config was made, in seconds since 1970.
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
    """Which config version a device has applied, or could not (`error`).

    `fresh`: said just now; else the broker had kept it, who knows since when.
    """

    version: int
    firmware: str | None = None
    error: str | None = None
    fresh: bool = True


def config_messages(desired: ConfigMessage) -> tuple[RetainedMessage, ...]:
    """A device's config on its config topic, and on those that it leaves.

    At most 256 bytes with its topic, apart from filters and a new base topic.
    """
    numbers = (desired.version, desired.interval_seconds, desired.qos, desired.at)
    start = b'{"v":%d,"interval":%d,"qos":%d,"at":%d' % numbers
    listen = b',"listen":' + _compact(list(desired.listen)).encode() if desired.listen else b""
    goes = b',"topic":' + _compact(desired.topic).encode() if desired.former else b""
    bases = (desired.topic, *desired.former)
    return tuple(
        RetainedMessage(
            config_topic(base),
            # An owner whom it has left is not told what it hears from now on.
            start + (listen if same_owner(base, desired.topic) else b"") + goes + b"}",
        )
        for base in bases
    )


def clear_messages(base: str) -> tuple[RetainedMessage, ...]:
    """Removes all that is retained for a device."""
    topics = topics_of(base)
    return tuple(
        RetainedMessage(t, b"") for t in (topics.config, topics.state, topics.status, base)
    )


def parse_state(payload: bytes) -> StateReport | None:
    """None for what is no report."""
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
    """Whether the device is online; None for what is no status."""
    return STATUSES.get(payload)


def _text(value: object, most: int) -> str | None:
    """Printable, without spaces around it, and not too long; None where nothing is left."""
    if not isinstance(value, str):
        return None
    return "".join(c for c in value if c.isprintable()).strip()[:most] or None
