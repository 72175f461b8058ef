"""Counts of the events that recipients missed while their channel refused them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, delete, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from db.tables.alerts import MissedAlertRow

ADD_TO_COUNTS = """
    ON CONFLICT (recipient_id, kind) DO UPDATE SET count = m.count + excluded.count,
        first_event = least(m.first_event, excluded.first_event),
        last_event = greatest(m.last_event, excluded.last_event)
"""
"""The end of an insert into `missed_alerts AS m`."""

# Recipients are locked before their deliveries, in the same order as by the removal of a recipient.
FOLD = text(f"""
    WITH present AS MATERIALIZED (
        SELECT id, off_reason IS NULL OR away AS counts FROM recipients FOR KEY SHARE
    ), oldest AS MATERIALIZED (
        SELECT id, created_at FROM deliveries WHERE state = 'waiting' ORDER BY id LIMIT :limit
    ), removed AS (
        DELETE FROM deliveries n USING oldest o
        WHERE n.id = o.id AND n.state = 'waiting' AND o.created_at < :before
        RETURNING n.recipient_id, n.event_id
    ), counted AS (
        INSERT INTO missed_alerts AS m (recipient_id, kind, count, first_event, last_event)
        SELECT r.recipient_id, e.kind, count(*), min(e.id), max(e.id)
        FROM removed r JOIN present p ON p.id = r.recipient_id AND p.counts
        JOIN events e ON e.id = r.event_id
        GROUP BY 1, 2 ORDER BY 1, 2
        {ADD_TO_COUNTS}
    )
    SELECT count(*) FROM removed
""")  # noqa: S608
SUBTRACT = text("""
    UPDATE missed_alerts SET count = count - :count, since = now(),
        first_event = greatest(first_event, least(last_event, CAST(:last AS bigint) + 1))
    WHERE recipient_id = :id AND kind = :kind
""")


async def of(session: AsyncSession, recipient_id: int) -> Sequence[MissedAlertRow]:
    wanted = select(MissedAlertRow).where(MissedAlertRow.recipient_id == recipient_id)
    return (await session.scalars(wanted.order_by(MissedAlertRow.kind))).all()


async def subtract_sent(session: AsyncSession, sent: Sequence[MissedAlertRow]) -> None:
    """Subtract counts that were sent. Events that were counted meanwhile stay."""
    for row in sent:
        values = {"id": row.recipient_id, "kind": row.kind, "count": row.count}
        await session.execute(SUBTRACT, {**values, "last": row.last_event})
    if sent:
        same_recipient = MissedAlertRow.recipient_id == sent[0].recipient_id
        statement = delete(MissedAlertRow).where(same_recipient, MissedAlertRow.count <= 0)
        await session.execute(statement)


async def delete_all(session: AsyncSession, recipient_id: int) -> None:
    await session.execute(delete(MissedAlertRow).where(MissedAlertRow.recipient_id == recipient_id))


async def fold(session: AsyncSession, before: datetime, limit: int) -> int:
    """Replace pending deliveries from before a time by counts, at most `limit`. Returns how many.

    Deliveries of permanently disabled recipients are deleted without a count.
    """
    result = await session.execute(FOLD, {"before": before, "limit": limit})
    return int(cast("CursorResult[Any]", result).scalar_one())
