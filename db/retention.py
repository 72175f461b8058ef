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
            SELECT FROM notices n WHERE n.event_id = events.id AND n.state = 'waiting'
        ) ORDER BY id LIMIT :most
    )
    DELETE FROM events USING oldest WHERE events.id = oldest.id AND oldest.at < :before
""")
NOTICES = text("""
    WITH oldest AS (
        SELECT id, settled_at FROM notices WHERE state = :state ORDER BY id LIMIT :most
    )
    DELETE FROM notices USING oldest WHERE notices.id = oldest.id AND oldest.settled_at < :before
""")


async def forget_events(session: AsyncSession, kind: str, before: datetime) -> int:
    """How many; `AT_ONCE` at most."""
    return await _deleted(session, EVENTS, {"kind": kind, "before": before})


async def forget_notices(session: AsyncSession, before: datetime) -> int:
    """Sent ones, and those that were given up: how many of either, `AT_ONCE` at most."""
    states = ("sent", "dead")
    return max([await _deleted(session, NOTICES, {"state": s, "before": before}) for s in states])


async def _deleted(session: AsyncSession, statement: TextClause, values: dict[str, Any]) -> int:
    done = await session.execute(statement, {**values, "most": AT_ONCE})
    return cast("CursorResult[Any]", done).rowcount
