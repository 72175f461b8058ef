"""Which events a recipient may see, in SQL."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.alerts.recipients import ADMINISTRATORS
from domain.events.visibility import FLEET_KINDS, TOKEN_KINDS

VISIBLE = """
    (r.owner_id IS NULL OR r.owner_id = e.owner_id)
    AND (
        r.role = ANY(:administrators) OR e.kind = ANY(:fleet_kinds)
        OR (e.kind = ANY(:token_kinds) AND e.device_id IS NOT NULL)
    )
"""
"""Whether the recipient `r` may see the event `e`, by its owner and role."""

VISIBILITY = {
    "administrators": sorted(ADMINISTRATORS),
    "fleet_kinds": sorted(FLEET_KINDS),
    "token_kinds": sorted(TOKEN_KINDS),
}
"""The values for `VISIBLE`."""

# The recipient is locked before its deliveries, as by a transaction that removes it.
DROP_HIDDEN = text(f"""
    WITH r AS MATERIALIZED (SELECT * FROM recipients WHERE id = :id FOR NO KEY UPDATE),
    uncounted AS (
        DELETE FROM missed_alerts m USING r
        WHERE m.recipient_id = r.id AND r.role <> ALL(:administrators)
            AND m.kind <> ALL(:fleet_kinds) AND m.kind <> ALL(:token_kinds)
    )
    DELETE FROM deliveries n USING r, events e
    WHERE n.recipient_id = r.id AND n.state = 'waiting' AND e.id = n.event_id
        AND ({VISIBLE}) IS NOT TRUE
""")  # noqa: S608


async def drop_hidden(session: AsyncSession, recipient_id: int) -> None:
    """Delete pending alerts that a recipient may no longer see, because its rights changed."""
    await session.execute(DROP_HIDDEN, {"id": recipient_id, **VISIBILITY})
