"""What devices say of the configs that they have applied, in batches.

Each row says what its device was when it was looked at. Where it is something else by now, or
somebody else is changing it, the row is not taken: the caller looks again.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from db.postgres.database import Database
from db.writes.batch_writer import BatchWriter

# Not of a device that moves: that it has arrived has consequences.
APPLY = """
WITH given AS (
    SELECT * FROM {given}
), held AS (
    SELECT g.*, d.owner_id FROM devices d JOIN given g ON g.id = d.id
    WHERE g.version = d.config_version AND g.old_version IS NOT DISTINCT FROM d.applied_version
        AND g.old_error IS NOT DISTINCT FROM d.applied_error
        AND NOT EXISTS (SELECT FROM former_topics f WHERE f.device_id = g.id)
    ORDER BY d.id FOR NO KEY UPDATE OF d SKIP LOCKED
), recorded AS (
    INSERT INTO events (kind, device_id, owner_id, actor, before, after)
    SELECT 'config_applied', id, owner_id, actor, before, after FROM held
)
UPDATE devices d SET applied_version = h.new_version, applied_error = h.new_error,
    applied_at = CASE WHEN h.new_error IS NULL THEN h.at ELSE d.applied_at END, last_seen_at = h.at
FROM held h WHERE d.id = h.id RETURNING d.id, d.config_version
"""


@dataclass(frozen=True, slots=True, eq=False)
class Applied:
    """What a device whose config is at `version` reports; `old_...`: what it reported before."""

    id: str
    version: int
    old_version: int | None
    old_error: str | None
    new_version: int | None
    new_error: str | None
    at: datetime
    actor: str
    before: dict[str, Any]
    after: dict[str, Any]


class Revisions:
    def __init__(self, database: Database) -> None:
        self._applied = BatchWriter(database, APPLY, Applied)

    def apply(self, applied: Applied) -> "asyncio.Future[int | None]":
        """The config's version, once it is committed; None where the device has to be looked at
        again.

        Raises Unavailable and Overloaded, as the future does.
        """
        return self._applied.submit(applied)

    def close(self) -> None:
        self._applied.close()
