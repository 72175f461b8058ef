"""Deletes old events and deliveries in batches."""

from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

# Rows per statement.
BATCH_SIZE = 2_000

# Looks only at the oldest events of a kind, by an index. If the first one is too new, all are.
EVENTS = text("""
    WITH oldest AS (
        SELECT id, at FROM events WHERE kind = :kind AND NOT EXISTS (
            SELECT FROM deliveries n WHERE n.event_id = events.id AND n.state = 'waiting'
        ) AND NOT EXISTS (
            SELECT FROM fan_out_position p WHERE (events.tx, events.id) > (p.tx, p.event_id)
        ) ORDER BY id LIMIT :limit
    )
    DELETE FROM events USING oldest WHERE events.id = oldest.id AND oldest.at < :before
""")
DELIVERIES = text("""
    DELETE FROM deliveries WHERE id IN (
        SELECT id FROM deliveries WHERE state <> 'waiting' AND settled_at < :before
        ORDER BY settled_at LIMIT :limit
    )
""")


async def delete_old_events(session: AsyncSession, kind: str, before: datetime) -> int:
    """Delete events of a kind, at most `BATCH_SIZE`. Returns how many."""
    return await _delete(session, EVENTS, {"kind": kind, "before": before})


async def delete_old_deliveries(session: AsyncSession, before: datetime) -> int:
    """Delete deliveries that are sent or dead, at most `BATCH_SIZE`. Returns how many."""
    return await _delete(session, DELIVERIES, {"before": before})


async def _delete(session: AsyncSession, statement: TextClause, values: dict[str, Any]) -> int:
    result = await session.execute(statement, {**values, "limit": BATCH_SIZE})
    return cast("CursorResult[Any]", result).rowcount
