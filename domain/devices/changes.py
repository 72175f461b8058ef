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
