"""Deliveries: which recipient gets an alert for which event, and the result."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.alerts import missed as missed_alerts
from db.alerts.missed import ADD_TO_COUNTS
from db.alerts.visibility import VISIBILITY, VISIBLE
from db.events.log import Position
from db.postgres.advisory_locks import Lock, try_lock
from db.tables.alerts import DeliveryRow, FanOutPositionRow, MissedAlertRow, RecipientRow
from db.tables.events import EventRow
from domain.alerts.recipients import DEFAULT_KINDS

LEASE_SECONDS = 90

# FOR KEY SHARE: no other transaction can delete the recipients meanwhile.
ADD = text(f"""
    WITH subscribed AS MATERIALIZED (
        SELECT * FROM recipients WHERE off_reason IS NULL OR away FOR KEY SHARE
    ), wanted AS MATERIALIZED (
        SELECT r.id AS recipient_id, r.off_reason IS NULL AS enabled, e.id AS event_id, e.tx, e.kind
        FROM events e JOIN subscribed r ON (
            e.id > r.since_event AND e.kind = ANY(coalesce(r.kinds, :default_kinds))
            AND {VISIBLE}
            AND (r.owner_ids IS NULL OR e.owner_id = ANY(r.owner_ids))
            AND split_part(e.actor, '/', 1) <> r.channel || ':' || CASE r.channel
                WHEN 'telegram' THEN split_part(r.address, ':', 1) ELSE r.address END
        )
        WHERE e.id = ANY(:events)
    ), counted AS (
        INSERT INTO missed_alerts AS m (recipient_id, kind, count, first_event, last_event)
        SELECT recipient_id, kind, count(*), min(event_id), max(event_id)
        FROM wanted WHERE NOT enabled GROUP BY 1, 2 ORDER BY 1, 2
        {ADD_TO_COUNTS}
    )
    INSERT INTO deliveries (recipient_id, event_id)
    SELECT recipient_id, event_id FROM wanted WHERE enabled ORDER BY tx, event_id, recipient_id
    ON CONFLICT DO NOTHING
""")  # noqa: S608
CLAIM = text("""
    UPDATE recipients SET leased_until = now() + make_interval(secs => :lease)
    WHERE id = (
        SELECT r.id FROM recipients r
        WHERE r.channel = :channel AND (r.off_reason IS NULL OR r.away)
            AND r.next_send_at <= now() AND coalesce(r.muted_until < now(), true)
            AND coalesce(
                r.leased_until < now() OR r.leased_until > now() + make_interval(secs => :lease),
                true
            )
            AND (
                EXISTS (
                    SELECT FROM deliveries n WHERE n.recipient_id = r.id AND n.state = 'waiting'
                )
                OR EXISTS (SELECT FROM missed_alerts m WHERE m.recipient_id = r.id)
            )
        ORDER BY r.next_send_at LIMIT 1 FOR UPDATE SKIP LOCKED
    )
    RETURNING id
""")
# If the clock was set back to before the time at which a due time was set, the whole pause starts
# again. Without failures the pause was for quiet hours, whose end is computed again.
REPAIR_DUE_TIMES = text("""
    UPDATE recipients SET paused_at = least(paused_at, now()),
        muted_at = CASE WHEN muted_at > now() THEN now() ELSE muted_at END,
        next_send_at = CASE
            WHEN paused_at <= now() THEN next_send_at
            WHEN attempts = 0 THEN now()
            ELSE now() + (next_send_at - paused_at) END,
        muted_until = CASE WHEN muted_at > now() THEN now() + (muted_until - muted_at)
            ELSE muted_until END
    WHERE channel = :channel
        AND (paused_at > now() + interval '1 s' OR muted_at > now() + interval '1 s')
""")
RELEASE = text("""
    UPDATE recipients SET leased_until = NULL, attempts = :attempts, last_error = :error,
        paused_at = now(), next_send_at = now() + make_interval(secs => :pause)
    WHERE id = :id
""")
SETTLE = text("""
    UPDATE deliveries SET state = :state, last_error = :error, attempts = attempts + 1,
        settled_at = now()
    WHERE recipient_id = :id AND state = 'waiting' AND id <= :last
""")
FAIL = text("""
    UPDATE deliveries SET last_error = :error, attempts = attempts + 1
    WHERE recipient_id = :id AND state = 'waiting' AND id = :first
""")


@dataclass(frozen=True, slots=True)
class PendingAlerts:
    """The pending alerts of one recipient.

    `first`: the first events in full. `counts`: events by kind, including the missed ones.
    `first_delivery`, `last`: ids of the first and the last delivery; None if all alerts are in
    `missed`. `first_event`, `last_event`: their event ids, including the missed ones.
    """

    first: Sequence[EventRow]
    counts: Mapping[str, int]
    first_delivery: int | None
    last: int | None
    first_event: int
    last_event: int
    missed: Sequence[MissedAlertRow] = ()

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def since(self) -> datetime | None:
        """The time of the first event; None if no alert was missed."""
        times = [row.since for row in self.missed] + [event.at for event in self.first]
        return min(times) if self.missed else None


async def try_lock_fan_out(session: AsyncSession) -> bool:
    """Return True if this transaction got the fan-out lock: no other one fans out events."""
    return await try_lock(session, Lock.FAN_OUT)


async def position(session: AsyncSession) -> Position | None:
    row = await session.get(FanOutPositionRow, 1)
    return (row.tx, row.event_id) if row else None


async def set_position(session: AsyncSession, position: Position) -> None:
    values = {"tx": position[0], "event_id": position[1]}
    row = insert(FanOutPositionRow).values(id=1, **values)
    await session.execute(row.on_conflict_do_update(index_elements=["id"], set_=values))


async def count_recipients(session: AsyncSession) -> int:
    """Return the number of recipients that may get an alert, or miss one while they are away."""
    subscribed = or_(RecipientRow.off_reason.is_(None), RecipientRow.away)
    statement = select(func.count()).select_from(RecipientRow).where(subscribed)
    return (await session.execute(statement)).scalar_one()


async def enqueue(session: AsyncSession, events: Collection[int]) -> int:
    """Add a delivery of each event for each recipient that selects it and is not its actor.

    Returns the number of deliveries. For recipients that are away, events are only counted.
    """
    values = {"events": list(events), "default_kinds": sorted(DEFAULT_KINDS), **VISIBILITY}
    added = await session.execute(ADD, values)
    return added.rowcount  # type: ignore[attr-defined,no-any-return]


async def claim(session: AsyncSession, channel: str) -> RecipientRow | None:
    """Lease a recipient that has pending alerts and is due. Returns None if there is none."""
    values = {"lease": LEASE_SECONDS, "channel": channel}
    id = (await session.execute(CLAIM, values)).scalar_one_or_none()
    if id is None:
        await session.execute(REPAIR_DUE_TIMES, {"channel": channel})
    return await session.get_one(RecipientRow, id) if id else None


async def read_pending(
    session: AsyncSession, recipient_id: int, limit: int
) -> PendingAlerts | None:
    """Return the pending alerts of a recipient. `limit`: events to load in full."""
    pending = (DeliveryRow.recipient_id == recipient_id, DeliveryRow.state == "waiting")
    ends = select(
        func.min(DeliveryRow.id),
        func.max(DeliveryRow.id),
        func.min(DeliveryRow.event_id),
        func.max(DeliveryRow.event_id),
    )
    found = await session.execute(ends.where(*pending))
    first_delivery, last, first_event, last_event = found.one()
    missed = await missed_alerts.of(session, recipient_id)
    if last is None:
        return _with_missed(None, missed)
    joined = select(EventRow.kind, func.count()).join(
        DeliveryRow, DeliveryRow.event_id == EventRow.id
    )
    counts = await session.execute(
        joined.where(*pending, DeliveryRow.id <= last).group_by(EventRow.kind)
    )
    events = select(EventRow).join(DeliveryRow, DeliveryRow.event_id == EventRow.id)
    events = events.where(*pending).order_by(DeliveryRow.id).limit(limit)
    first = (await session.scalars(events)).all()
    if not first:
        # The events were deleted by hand.
        await settle(session, recipient_id, last, "dead", "its event is deleted")
        return _with_missed(None, missed)
    by_kind = {row[0]: row[1] for row in counts}
    return _with_missed(
        PendingAlerts(first, by_kind, first_delivery, last, first_event, last_event), missed
    )


def _with_missed(
    pending: PendingAlerts | None, missed: Sequence[MissedAlertRow]
) -> PendingAlerts | None:
    """Combine pending and missed alerts. Returns None if there are neither."""
    if not missed:
        return pending
    first = min(row.first_event for row in missed)
    last = max(row.last_event for row in missed)
    found = pending or PendingAlerts((), {}, None, None, first, last)
    counts = Counter(found.counts)
    for row in missed:
        counts[row.kind] += row.count
    return replace(
        found,
        counts=counts,
        first_event=min(found.first_event, first),
        last_event=max(found.last_event, last),
        missed=missed,
    )


async def release(
    session: AsyncSession, id: int, pause: float, attempts: int = 0, error: str | None = None
) -> None:
    """End the lease of a recipient. `pause`: seconds until the next message.

    Call it before the result is written to the deliveries: a transaction that removes a recipient
    also locks the recipient first.
    """
    values = {"id": id, "pause": pause, "attempts": attempts, "error": error}
    await session.execute(RELEASE, values)


async def settle(
    session: AsyncSession, id: int, last: int, state: str, error: str | None = None
) -> None:
    """Set the state of the pending deliveries up to `last`: sent or dead."""
    values = {"id": id, "last": last, "state": state, "error": error}
    await session.execute(SETTLE, values)


async def record_failure(session: AsyncSession, id: int, first: int, error: str) -> None:
    """Record an error at the delivery `first`. The deliveries stay pending."""
    await session.execute(FAIL, {"id": id, "first": first, "error": error})


async def now(session: AsyncSession) -> datetime:
    """Return the time of the database, whose clock sets all due times."""
    return (await session.execute(select(func.now()))).scalar_one()


async def postpone(session: AsyncSession, id: int, due: datetime) -> None:
    """Send nothing to a recipient before `due`, and reset its failures."""
    values = {"leased_until": None, "attempts": 0, "next_send_at": due}
    statement = update(RecipientRow).where(RecipientRow.id == id)
    await session.execute(statement.values(**values, paused_at=func.now()))


async def disable(session: AsyncSession, id: int, reason: str) -> None:
    """Mark a recipient as away, because its channel refuses it. New events are only counted."""
    statement = update(RecipientRow).where(RecipientRow.id == id)
    await session.execute(statement.values(off_reason=reason, away=True))


async def enable(session: AsyncSession, id: int) -> None:
    """Mark a recipient as present, because its channel accepted a message."""
    statement = update(RecipientRow).where(RecipientRow.id == id)
    await session.execute(statement.values(off_reason=None, away=False))
