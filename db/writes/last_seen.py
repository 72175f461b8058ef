"""When devices were last heard from, written after their answers, some at a time."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

# Nobody wants it to the second, and a device may ask every few.
AGE_SECONDS = 60
MOST_WAITING = 200_000

# Devices that somebody else is changing were heard from by that.
WRITE = text("""
    WITH seen AS (
        SELECT d.id, g.at FROM devices d
        JOIN unnest(CAST(:ids AS text[]), CAST(:moments AS timestamptz[])) AS g (id, at)
            ON g.id = d.id
        WHERE d.last_seen_at IS NULL OR d.last_seen_at < g.at
        ORDER BY d.id FOR NO KEY UPDATE OF d SKIP LOCKED
    )
    UPDATE devices d SET last_seen_at = seen.at FROM seen WHERE d.id = seen.id
""")


class LastSeenBuffer:
    """Those that wait to be written. What a process that dies has not written is lost."""

    def __init__(self) -> None:
        self._waiting: dict[str, float] = {}

    def note(self, id: str, before: datetime | None) -> None:
        """A device was heard from now; `before`: what the database has for it."""
        now = time.time()
        recent = before is not None and now - before.timestamp() < AGE_SECONDS
        if not recent and id not in self._waiting and len(self._waiting) < MOST_WAITING:
            self._waiting[id] = now

    def take(self, most: int) -> Mapping[str, float]:
        """Some of them, which wait no longer; moments in Unix time."""
        ids = [id for id, _ in zip(self._waiting, range(most), strict=False)]
        return {id: self._waiting.pop(id) for id in ids}


async def write(session: AsyncSession, seen: Mapping[str, float]) -> None:
    moments = [datetime.fromtimestamp(moment, UTC) for moment in seen.values()]
    await session.execute(WRITE, {"ids": list(seen), "moments": moments})
