"""Devices that are late with a config, or gone for long: each is noted once, some at a time."""

from datetime import datetime
from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from db.postgres.database import RECORDED
from domain.access.caller import Caller
from domain.events.kinds import EventKind

AT_ONCE = 500

# A device that somebody else is changing is looked at the next time. The conditions are in the
# words of the indexes.
OVERDUE = text("""
    WITH late AS MATERIALIZED (
        SELECT id FROM devices
        WHERE state = 'active' AND NOT synced
            AND overdue_version IS DISTINCT FROM config_version
            AND config_updated_at + make_interval(
                secs => greatest(interval_seconds * CAST(:intervals AS float8), :least)
            ) < :now
        ORDER BY config_updated_at LIMIT :most FOR UPDATE SKIP LOCKED
    ), noted AS (
        UPDATE devices d SET overdue_version = d.config_version FROM late WHERE d.id = late.id
        RETURNING d.*
    ), recorded AS (
        INSERT INTO events (kind, device_id, owner_id, actor, after)
        SELECT :kind, id, owner_id, :actor, jsonb_build_object('version', config_version,
            'appliedVersion', applied_version, 'error', applied_error, 'online', online)
        FROM noted ORDER BY config_updated_at
    )
    SELECT count(*) FROM noted
""")
ABSENT = text("""
    WITH gone AS MATERIALIZED (
        SELECT id FROM devices
        WHERE state = 'active' AND NOT online AND NOT absence_noted AND status_at IS NOT NULL
            AND status_at < :since
        ORDER BY status_at LIMIT :most FOR UPDATE SKIP LOCKED
    ), noted AS (
        UPDATE devices d SET absence_noted = true FROM gone WHERE d.id = gone.id RETURNING d.*
    ), recorded AS (
        INSERT INTO events (kind, device_id, owner_id, actor, after)
        SELECT :kind, id, owner_id, :actor, jsonb_build_object('offlineSince',
            to_char(status_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'))
        FROM noted ORDER BY status_at
    )
    SELECT count(*) FROM noted
""")


async def mark_overdue(
    session: AsyncSession, caller: Caller, now: datetime, intervals: float, least_seconds: float
) -> int:
    """Of configs that are not applied so many intervals after they were made; how many."""
    values = {"now": now, "intervals": intervals, "least": least_seconds}
    return await _noted(session, OVERDUE, EventKind.CONFIG_OVERDUE, caller, values)


async def mark_offline(session: AsyncSession, caller: Caller, since: datetime) -> int:
    """Of devices that were online once, and are offline since then; how many."""
    return await _noted(session, ABSENT, EventKind.DEVICE_OFFLINE, caller, {"since": since})


async def _noted(
    session: AsyncSession,
    statement: TextClause,
    kind: EventKind,
    caller: Caller,
    values: dict[str, Any],
) -> int:
    given = {**values, "kind": kind, "actor": caller.actor, "most": AT_ONCE}
    count: int = (await session.execute(statement, given)).scalar_one()
    if count:
        session.info[RECORDED] = True
    return count
