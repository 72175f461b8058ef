"""Removes old rows, some at a time."""

from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

AT_ONCE = 2_000

# The oldest of a kind, by an index: where the first of them is young enough, the others are too.
EVENTS = text("""
    WITH oldest AS (
        SELECT id, at FROM events WHERE kind = :kind AND NOT EXISTS (
            SELECT FROM deliveries n WHERE n.event_id = events.id AND n.state = 'waiting'
        ) AND NOT EXISTS (
            SELECT FROM fan_out_position p WHERE (events.tx, events.id) > (p.tx, p.event_id)
        ) ORDER BY id LIMIT :most
    )
    DELETE FROM events USING oldest WHERE events.id = oldest.id AND oldest.at < :before
""")
DELIVERIES = text("""
    DELETE FROM deliveries WHERE id IN (
        SELECT id FROM deliveries WHERE state <> 'waiting' AND settled_at < :before
        ORDER BY settled_at LIMIT :most
    )
""")


async def delete_old_events(session: AsyncSession, kind: str, before: datetime) -> int:
    """How many; `AT_ONCE` at most."""
    return await _deleted(session, EVENTS, {"kind": kind, "before": before})


async def delete_old_deliveries(session: AsyncSession, before: datetime) -> int:
    """Those that are settled: how many, `AT_ONCE` at most."""
    return await _deleted(session, DELIVERIES, {"before": before})


async def _deleted(session: AsyncSession, statement: TextClause, values: dict[str, Any]) -> int:
    done = await session.execute(statement, {**values, "most": AT_ONCE})
    return cast("CursorResult[Any]", done).rowcount
