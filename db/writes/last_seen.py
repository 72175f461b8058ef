"""Buffers when devices were last seen, and writes it in batches, outside of their requests."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

# Precision of `last_seen_at`: a device may send a request every few seconds.
MIN_AGE_SECONDS = 60
# Devices. More are not recorded until the buffer is written.
MAX_PENDING = 200_000

# Devices that another transaction has locked are skipped.
WRITE = text("""
    WITH seen AS (
        SELECT d.id, g.at FROM devices d
        JOIN unnest(CAST(:ids AS text[]), CAST(:times AS timestamptz[])) AS g (id, at)
            ON g.id = d.id
        WHERE d.last_seen_at IS NULL OR d.last_seen_at < g.at
        ORDER BY d.id FOR NO KEY UPDATE OF d SKIP LOCKED
    )
    UPDATE devices d SET last_seen_at = seen.at FROM seen WHERE d.id = seen.id
""")


class LastSeenBuffer:
    """Last-seen times that are not written yet. They are lost if the process dies."""

    def __init__(self) -> None:
        self._pending: dict[str, float] = {}

    def add(self, id: str, previous: datetime | None) -> None:
        """Record that a device was seen now. `previous`: its last-seen time in the database."""
        now = time.time()
        recent = previous is not None and now - previous.timestamp() < MIN_AGE_SECONDS
        if not recent and id not in self._pending and len(self._pending) < MAX_PENDING:
            self._pending[id] = now

    def pop(self, limit: int) -> Mapping[str, float]:
        """Remove and return up to `limit` devices with their times, in Unix seconds."""
        ids = [id for id, _ in zip(self._pending, range(limit), strict=False)]
        return {id: self._pending.pop(id) for id in ids}


async def write(session: AsyncSession, seen: Mapping[str, float]) -> None:
    times = [datetime.fromtimestamp(seconds, UTC) for seconds in seen.values()]
    await session.execute(WRITE, {"ids": list(seen), "times": times})
