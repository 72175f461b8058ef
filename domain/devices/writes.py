"""Conditional writes: decided changes that are written if the device is still as it was read.

Each has the device's `id`, the guard (values that were read and must be unchanged) and the new
values. `db/writes/` has the SQL.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, eq=False)
class ConfirmToken:
    """The first use of a device's token, which becomes the only valid one.

    Guard: `access_revision`. `mqtt_hash`: for a token that has none yet, else None.
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
    """The config that follows `version`, the guard. `before`, `after`: facts for the event."""

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
    """A report: the config version that a device applied, or failed to apply, and its hardware.

    Guard: `topic`, `version` (of the desired config) and the `old_...` values. `words`: the search
    words, None if unchanged. `arrived`: the device uses its current base topic, so its former ones
    are given up. An event is recorded for each `..._after` that is not None.
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
    """A device goes online or offline. Guard: it had the opposite presence."""

    id: str
    online: bool
    at: datetime
    actor: str


@dataclass(frozen=True, slots=True, eq=False)
class CreateDevice:
    """An unknown device and its first token; `waiting`: also a request for its approval.

    Guard: the device does not exist, `config_version` is one above the last version of a deleted
    device with this id, and `counted_key` has a use left (None: the key has no limit of uses).
    `words`: search words. `facts`: for the event.
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
    address: str | None
    counted_key: int | None
    facts: dict[str, Any]
    at: datetime
    last_seen_at: datetime | None


@dataclass(frozen=True, slots=True, eq=False)
class IssueToken:
    """A new token for a known device, whose unused tokens are deleted. Guard: `access_revision`.

    `ends_requests`: the open requests for the device are deleted, with their pending tokens.
    """

    id: str
    access_revision: int
    hash: bytes
    mqtt_hash: str
    issued_by: int | None
    ends_requests: bool
    at: datetime
    actor: str


@dataclass(frozen=True, slots=True, eq=False)
class RequestApproval:
    """A request for approval, with a token that works once approved. Guard: `access_revision`.

    `repeats`: the id of the open request that the caller asks again, whose token is replaced; None:
    a new request. `key_id`: the enrolment key, None if the caller has none. `address`: the caller's
    IP address. `foreign_owner`: the key is limited to another owner than the device's.
    """

    id: str
    access_revision: int
    repeats: int | None
    hash: bytes
    mqtt_hash: str
    key_id: int | None
    address: str | None
    sensor_model: str | None
    firmware: str | None
    foreign_owner: bool
    at: datetime
    actor: str
