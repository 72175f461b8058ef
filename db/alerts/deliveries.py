"""Who is to be told of which events, and what became of it."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.alerts import missed as missed_alerts
from db.alerts.missed import ADD_UP
from db.events.log import Position
from db.postgres.advisory_locks import Lock, try_lock
from db.tables.alerts import DeliveryRow, FanOutPositionRow, MissedAlertRow, RecipientRow
from db.tables.events import EventRow
from domain.alerts.recipients import DEFAULT_KINDS

LEASE_SECONDS = 90

# The recipients are locked against being removed meanwhile.
ADD = text(f"""
    WITH told AS MATERIALIZED (
        SELECT * FROM recipients WHERE off_reason IS NULL OR away FOR KEY SHARE
    ), wanted AS MATERIALIZED (
        SELECT r.id AS recipient_id, r.off_reason IS NULL AS kept, e.id AS event_id, e.tx, e.kind
        FROM events e JOIN told r ON (
            e.id > r.since_event AND e.kind = ANY(coalesce(r.kinds, :usual))
            AND (r.owner_id IS NULL OR r.owner_id = e.owner_id)
            AND (r.owner_ids IS NULL OR e.owner_id = ANY(r.owner_ids))
            AND split_part(e.actor, '/', 1) <> r.channel || ':' || CASE r.channel
                WHEN 'telegram' THEN split_part(r.address, ':', 1) ELSE r.address END
        )
        WHERE e.id = ANY(:events)
    ), counted AS (
        INSERT INTO missed_alerts AS m (recipient_id, kind, count, first_event, last_event)
        SELECT recipient_id, kind, count(*), min(event_id), max(event_id)
        FROM wanted WHERE NOT kept GROUP BY 1, 2 ORDER BY 1, 2
        {ADD_UP}
    )
    INSERT INTO deliveries (recipient_id, event_id)
    SELECT recipient_id, event_id FROM wanted WHERE kept ORDER BY tx, event_id, recipient_id
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
# The clock went back behind the moment at which a due time was set: the time that was meant to pass
# begins again. The end of quiet hours (no failures) is found anew.
MEND = text("""
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
class Waiting:
    """What waits for one recipient: the first events, how many there are of each kind with those
    that it `missed`, and the numbers of the first and the last, as deliveries (None where there are
    only missed ones) and as events.
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
        """When the first was missed; None where none was."""
        moments = [row.since for row in self.missed] + [event.at for event in self.first]
        return min(moments) if self.missed else None


async def try_lock_fan_out(session: AsyncSession) -> bool:
    """Whether this transaction is the only one that hands out events."""
    return await try_lock(session, Lock.FAN_OUT)


async def position(session: AsyncSession) -> Position | None:
    row = await session.get(FanOutPositionRow, 1)
    return (row.tx, row.event_id) if row else None


async def set_position(session: AsyncSession, reached: Position) -> None:
    values = {"tx": reached[0], "event_id": reached[1]}
    row = insert(FanOutPositionRow).values(id=1, **values)
    await session.execute(row.on_conflict_do_update(index_elements=["id"], set_=values))


async def count_recipients(session: AsyncSession) -> int:
    """How many recipients there are at most for each event."""
    on = or_(RecipientRow.off_reason.is_(None), RecipientRow.away)
    told = select(func.count()).select_from(RecipientRow).where(on)
    return (await session.execute(told)).scalar_one()


async def enqueue(session: AsyncSession, events: Collection[int]) -> int:
    """A notice of each event for each recipient that wants to know, and did not do it itself. How
    many there are. For recipients that are away they are only counted.
    """
    added = await session.execute(ADD, {"events": list(events), "usual": sorted(DEFAULT_KINDS)})
    return added.rowcount  # type: ignore[attr-defined,no-any-return]


async def claim(session: AsyncSession, channel: str) -> RecipientRow | None:
    """Somebody for whom something waits and who may be sent to now: for a while this process's."""
    values = {"lease": LEASE_SECONDS, "channel": channel}
    id = (await session.execute(CLAIM, values)).scalar_one_or_none()
    if id is None:
        await session.execute(MEND, {"channel": channel})
    return await session.get_one(RecipientRow, id) if id else None


async def waiting(session: AsyncSession, recipient_id: int, few: int) -> Waiting | None:
    """`few`: how many events are needed in full."""
    mine = (DeliveryRow.recipient_id == recipient_id, DeliveryRow.state == "waiting")
    ends = select(
        func.min(DeliveryRow.id),
        func.max(DeliveryRow.id),
        func.min(DeliveryRow.event_id),
        func.max(DeliveryRow.event_id),
    )
    first_delivery, last, first_event, last_event = (await session.execute(ends.where(*mine))).one()
    missed = await missed_alerts.of(session, recipient_id)
    if last is None:
        return with_missed(None, missed)
    joined = select(EventRow.kind, func.count()).join(
        DeliveryRow, DeliveryRow.event_id == EventRow.id
    )
    counts = await session.execute(
        joined.where(*mine, DeliveryRow.id <= last).group_by(EventRow.kind)
    )
    some = select(EventRow).join(DeliveryRow, DeliveryRow.event_id == EventRow.id).where(*mine)
    first = (await session.scalars(some.order_by(DeliveryRow.id).limit(few))).all()
    if not first:
        # Somebody has removed the events by hand.
        await settle(session, recipient_id, last, "dead", "its event is gone")
        return with_missed(None, missed)
    by_kind = {row[0]: row[1] for row in counts}
    return with_missed(
        Waiting(first, by_kind, first_delivery, last, first_event, last_event), missed
    )


def with_missed(waiting: Waiting | None, missed: Sequence[MissedAlertRow]) -> Waiting | None:
    """Both together; None where there is neither."""
    if not missed:
        return waiting
    first = min(row.first_event for row in missed)
    last = max(row.last_event for row in missed)
    found = waiting or Waiting((), {}, None, None, first, last)
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
    """`pause`: seconds in which nobody sends to it. First of all that is noted about a message:
    whoever removes a recipient locks it before its deliveries, too.
    """
    values = {"id": id, "pause": pause, "attempts": attempts, "error": error}
    await session.execute(RELEASE, values)


async def settle(
    session: AsyncSession, id: int, last: int, state: str, error: str | None = None
) -> None:
    """Up to the notice `last`: sent, or dead."""
    values = {"id": id, "last": last, "state": state, "error": error}
    await session.execute(SETTLE, values)


async def note_failure(session: AsyncSession, id: int, first: int, error: str) -> None:
    """They go on waiting; the first of them says why."""
    await session.execute(FAIL, {"id": id, "first": first, "error": error})


async def now(session: AsyncSession) -> datetime:
    """By the database's clock, which sets all due times."""
    return (await session.execute(select(func.now()))).scalar_one()


async def wait_until(session: AsyncSession, id: int, moment: datetime) -> None:
    """Nobody sends to it before; what failed so far is forgotten."""
    values = {"leased_until": None, "attempts": 0, "next_send_at": moment}
    waits = update(RecipientRow).where(RecipientRow.id == id)
    await session.execute(waits.values(**values, paused_at=func.now()))


async def disable(session: AsyncSession, id: int, reason: str) -> None:
    """Its channel takes nothing for it at present: what happens from now on is counted."""
    off = update(RecipientRow).where(RecipientRow.id == id)
    await session.execute(off.values(off_reason=reason, away=True))


async def enable(session: AsyncSession, id: int) -> None:
    """Its channel has taken something again."""
    on = update(RecipientRow).where(RecipientRow.id == id)
    await session.execute(on.values(off_reason=None, away=False))
