"""What recipients miss while their channel takes nothing for them: counted, not kept."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, delete, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from db.tables.alerts import MissedAlertRow

ADD_UP = """
    ON CONFLICT (recipient_id, kind) DO UPDATE SET count = m.count + excluded.count,
        first_event = least(m.first_event, excluded.first_event),
        last_event = greatest(m.last_event, excluded.last_event)
"""
"""Of an insert into `missed_alerts AS m`."""

# Recipients are locked before their deliveries, as by whoever removes one.
FOLD = text(f"""
    WITH present AS MATERIALIZED (
        SELECT id, off_reason IS NULL OR away AS returns FROM recipients FOR KEY SHARE
    ), oldest AS MATERIALIZED (
        SELECT id, created_at FROM deliveries WHERE state = 'waiting' ORDER BY id LIMIT :most
    ), taken AS (
        DELETE FROM deliveries n USING oldest o
        WHERE n.id = o.id AND n.state = 'waiting' AND o.created_at < :before
        RETURNING n.recipient_id, n.event_id
    ), counted AS (
        INSERT INTO missed_alerts AS m (recipient_id, kind, count, first_event, last_event)
        SELECT t.recipient_id, e.kind, count(*), min(e.id), max(e.id)
        FROM taken t JOIN present p ON p.id = t.recipient_id AND p.returns
        JOIN events e ON e.id = t.event_id
        GROUP BY 1, 2 ORDER BY 1, 2
        {ADD_UP}
    )
    SELECT count(*) FROM taken
""")  # noqa: S608
TAKE = text("""
    UPDATE missed_alerts SET count = count - :count, since = now(),
        first_event = greatest(first_event, least(last_event, CAST(:last AS bigint) + 1))
    WHERE recipient_id = :id AND kind = :kind
""")


async def of(session: AsyncSession, recipient_id: int) -> Sequence[MissedAlertRow]:
    wanted = select(MissedAlertRow).where(MissedAlertRow.recipient_id == recipient_id)
    return (await session.scalars(wanted.order_by(MissedAlertRow.kind))).all()


async def take(session: AsyncSession, told: Sequence[MissedAlertRow]) -> None:
    """They were sent; what was counted meanwhile stays."""
    for row in told:
        values = {"id": row.recipient_id, "kind": row.kind, "count": row.count}
        await session.execute(TAKE, {**values, "last": row.last_event})
    if told:
        mine = MissedAlertRow.recipient_id == told[0].recipient_id
        await session.execute(delete(MissedAlertRow).where(mine, MissedAlertRow.count <= 0))


async def forget(session: AsyncSession, recipient_id: int) -> None:
    await session.execute(delete(MissedAlertRow).where(MissedAlertRow.recipient_id == recipient_id))


async def fold(session: AsyncSession, before: datetime, most: int) -> int:
    """Counts alerts that wait since then instead of keeping them: how many, `most` at most. Those
    of recipients that do not come back are deleted.
    """
    done = await session.execute(FOLD, {"before": before, "most": most})
    return int(cast("CursorResult[Any]", done).scalar_one())
