"""Changes that are decided, and are written if the device is still as it was read.

Each has the device's `id`, what was read of it (the guard), and what it shall be. `db/writes/` has
the SQL.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, eq=False)
class ConfirmToken:
    """A device's token is used for the first time: it becomes the only valid one.

    `access_revision` is the guard. `mqtt_hash` is for a token that has none.
    """

    id: str
    access_revision: int
    token_id: int
    hash: bytes
    mqtt_hash: str | None
    at: datetime
    actor: str


@dataclass(frozen=True, slots=True, eq=False)
class ChangeConfig:
    """The config after `version`, which is the guard. `before`, `after`: for the event."""

    id: str
    version: int
    new_interval: int
    new_qos: int
    at: datetime
    actor: str
    before: dict[str, Any]
    after: dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class RecordReport:
    """What a device says of itself: the config that it has applied, or could not, and its hardware.

    The guard is `topic`, `version` (of the desired config) and the `old_...` values. `words` are
    for the search, if they change. With `arrived` the device uses its present topic: its former
    ones are given up. The events are those of which there is an `..._after`.
    """

    id: str
    topic: str
    version: int
    old_version: int | None
    old_error: str | None
    old_sensor_model: str | None
    old_firmware: str | None
    new_version: int | None
    new_error: str | None
    new_sensor_model: str | None
    new_firmware: str | None
    words: list[str] | None
    arrived: bool
    at: datetime
    actor: str
    hardware_before: dict[str, Any] | None
    hardware_after: dict[str, Any] | None
    applied_before: dict[str, Any] | None
    applied_after: dict[str, Any] | None


@dataclass(frozen=True, slots=True, eq=False)
class RecordPresence:
    """A device is online, or not any more. The guard is that it was not before."""

    id: str
    online: bool
    at: datetime
    actor: str


@dataclass(frozen=True, slots=True, eq=False)
class CreateDevice:
    """An unknown device and its first token.

    The guard: there is no such device, `config_version` is one above what a deleted one has left
    behind, and `counted_key` has a use left (None: the key is not counted). `words` are for the
    search, `facts` for the event.
    """

    id: str
    owner_id: int
    place_id: int
    measurement_type_id: int
    topic: str
    latitude: float | None
    longitude: float | None
    sensor_model: str | None
    firmware: str | None
    state: str
    waiting: bool
    config_version: int
    interval_seconds: int
    qos: int
    actor: str
    words: list[str]
    hash: bytes
    mqtt_hash: str
    issued_by: int | None
    counted_key: int | None
    facts: dict[str, Any]
    at: datetime
    last_seen_at: datetime | None


@dataclass(frozen=True, slots=True, eq=False)
class IssueToken:
    """A new token for a known device; its unused ones go. `access_revision` is the guard.

    `waiting`: the token works once an administrator approves, and the others stay as they are.
    """

    id: str
    access_revision: int
    hash: bytes
    mqtt_hash: str
    issued_by: int | None
    waiting: bool
    at: datetime
    actor: str
