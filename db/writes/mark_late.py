"""Marks devices that are overdue with a config or offline for long, once each, in batches."""

from datetime import datetime
from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from db.postgres.database import RECORDED
from domain.access.caller import Caller
from domain.events.kinds import EventKind

# Devices per statement.
BATCH_SIZE = 500

# A device that another transaction has locked is checked the next time. The conditions are written
# as in the partial indexes.
OVERDUE = text("""
    WITH overdue AS MATERIALIZED (
        SELECT id FROM devices
        WHERE state = 'active' AND NOT synced
            AND overdue_version IS DISTINCT FROM config_version
            AND config_updated_at + make_interval(
                secs => greatest(interval_seconds * CAST(:intervals AS float8), :min_seconds)
            ) < :now
        ORDER BY config_updated_at LIMIT :limit FOR UPDATE SKIP LOCKED
    ), marked AS (
        UPDATE devices d SET overdue_version = d.config_version
        FROM overdue WHERE d.id = overdue.id RETURNING d.*
    ), recorded AS (
        INSERT INTO events (kind, device_id, owner_id, actor, after)
        SELECT :kind, id, owner_id, :actor, jsonb_build_object('version', config_version,
            'appliedVersion', applied_version, 'error', applied_error, 'online', online)
        FROM marked ORDER BY config_updated_at
    )
    SELECT count(*) FROM marked
""")
ABSENT = text("""
    WITH absent AS MATERIALIZED (
        SELECT id FROM devices
        WHERE state = 'active' AND NOT online AND NOT absence_noted AND status_at IS NOT NULL
            AND status_at < :since
        ORDER BY status_at LIMIT :limit FOR UPDATE SKIP LOCKED
    ), marked AS (
        UPDATE devices d SET absence_noted = true
        FROM absent WHERE d.id = absent.id RETURNING d.*
    ), recorded AS (
        INSERT INTO events (kind, device_id, owner_id, actor, after)
        SELECT :kind, id, owner_id, :actor, jsonb_build_object('offlineSince',
            to_char(status_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'))
        FROM marked ORDER BY status_at
    )
    SELECT count(*) FROM marked
""")


async def mark_overdue(
    session: AsyncSession, caller: Caller, now: datetime, intervals: float, min_seconds: float
) -> int:
    """Mark devices whose config is not applied after so many intervals. Returns how many.

    `min_seconds`: the shortest time after which a config is overdue.
    """
    values = {"now": now, "intervals": intervals, "min_seconds": min_seconds}
    return await _mark(session, OVERDUE, EventKind.CONFIG_OVERDUE, caller, values)


async def mark_offline(session: AsyncSession, caller: Caller, since: datetime) -> int:
    """Mark devices that were online once and are offline since then. Returns how many."""
    return await _mark(session, ABSENT, EventKind.DEVICE_OFFLINE, caller, {"since": since})


async def _mark(
    session: AsyncSession,
    statement: TextClause,
    kind: EventKind,
    caller: Caller,
    values: dict[str, Any],
) -> int:
    parameters = {**values, "kind": kind, "actor": caller.actor, "limit": BATCH_SIZE}
    count: int = (await session.execute(statement, parameters)).scalar_one()
    if count:
        session.info[RECORDED] = True
    return count
