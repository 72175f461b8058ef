"""Who is to be told of which events, and what became of it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.alert_tables import Notice, NotifierPosition, Recipient
from db.event_log import Position
from db.tables import Event
from domain.alerts import USUAL

LOCK = 7_265_542
LEASE_SECONDS = 90

# The recipients are locked against being removed meanwhile.
ADD = text("""
    WITH told AS MATERIALIZED (
        SELECT * FROM recipients WHERE off_reason IS NULL FOR KEY SHARE
    )
    INSERT INTO notices (recipient_id, event_id)
    SELECT r.id, e.id FROM events e JOIN told r ON (
        e.at >= r.created_at AND e.kind = ANY(coalesce(r.kinds, :usual))
        AND (r.owner_id IS NULL OR r.owner_id = e.owner_id)
        AND (r.owner_ids IS NULL OR e.owner_id = ANY(r.owner_ids))
        AND split_part(e.actor, '/', 1) <> r.channel || ':' || r.address
    )
    WHERE e.id = ANY(:events) ORDER BY e.tx, e.id, r.id
    ON CONFLICT DO NOTHING
""")
CLAIM = text("""
    UPDATE recipients SET leased_until = now() + make_interval(secs => :lease)
    WHERE id = (
        SELECT r.id FROM recipients r
        WHERE r.channel = :channel AND r.off_reason IS NULL AND r.next_send_at <= now()
            AND coalesce(r.leased_until < now(), true) AND coalesce(r.muted_until < now(), true)
            AND EXISTS (
                SELECT FROM notices n WHERE n.recipient_id = r.id AND n.state = 'waiting'
            )
        ORDER BY r.next_send_at LIMIT 1 FOR UPDATE SKIP LOCKED
    )
    RETURNING id
""")
RELEASE = text("""
    UPDATE recipients SET leased_until = NULL, attempts = :attempts, last_error = :error,
        next_send_at = now() + make_interval(secs => :pause)
    WHERE id = :id
""")
SETTLE = text("""
    UPDATE notices SET state = :state, last_error = :error, attempts = attempts + 1,
        settled_at = now()
    WHERE recipient_id = :id AND state = 'waiting' AND id <= :last
""")
FAIL = text("""
    UPDATE notices SET last_error = :error, attempts = attempts + 1
    WHERE recipient_id = :id AND state = 'waiting' AND id = :first
""")


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for one recipient: the first events, how many there are of each kind, and the
    numbers of the first and the last, as notices and as events.
    """

    first: Sequence[Event]
    counts: Mapping[str, int]
    first_notice: int
    last: int
    first_event: int
    last_event: int

    @property
    def total(self) -> int:
        return sum(self.counts.values())


async def hold(session: AsyncSession) -> bool:
    """Whether this transaction is the only one that hands out events."""
    held = await session.execute(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": LOCK})
    return bool(held.scalar_one())


async def position(session: AsyncSession) -> Position | None:
    row = await session.get(NotifierPosition, 1)
    return (row.tx, row.event_id) if row else None


async def set_position(session: AsyncSession, reached: Position) -> None:
    values = {"tx": reached[0], "event_id": reached[1]}
    row = insert(NotifierPosition).values(id=1, **values)
    await session.execute(row.on_conflict_do_update(index_elements=["id"], set_=values))


async def count_told(session: AsyncSession) -> int:
    """How many recipients there are at most for each event."""
    told = select(func.count()).select_from(Recipient).where(Recipient.off_reason.is_(None))
    return (await session.execute(told)).scalar_one()


async def add(session: AsyncSession, events: Collection[int]) -> int:
    """A notice of each event for each recipient that wants to know, and did not do it itself. How
    many there are.
    """
    added = await session.execute(ADD, {"events": list(events), "usual": sorted(USUAL)})
    return added.rowcount  # type: ignore[attr-defined,no-any-return]


async def claim(session: AsyncSession, channel: str) -> Recipient | None:
    """Somebody for whom something waits and who may be sent to now: for a while this process's."""
    values = {"lease": LEASE_SECONDS, "channel": channel}
    id = (await session.execute(CLAIM, values)).scalar_one_or_none()
    return await session.get_one(Recipient, id) if id else None


async def waiting(session: AsyncSession, recipient_id: int, few: int) -> Waiting | None:
    """`few`: how many events are needed in full."""
    mine = (Notice.recipient_id == recipient_id, Notice.state == "waiting")
    ends = select(
        func.min(Notice.id),
        func.max(Notice.id),
        func.min(Notice.event_id),
        func.max(Notice.event_id),
    )
    first_notice, last, first_event, last_event = (await session.execute(ends.where(*mine))).one()
    if last is None:
        return None
    joined = select(Event.kind, func.count()).join(Notice, Notice.event_id == Event.id)
    counts = await session.execute(joined.where(*mine, Notice.id <= last).group_by(Event.kind))
    some = select(Event).join(Notice, Notice.event_id == Event.id).where(*mine)
    first = (await session.scalars(some.order_by(Notice.id).limit(few))).all()
    if not first:
        # Somebody has removed the events by hand.
        await settle(session, recipient_id, last, "dead", "its event is gone")
        return None
    by_kind = {row[0]: row[1] for row in counts}
    return Waiting(first, by_kind, first_notice, last, first_event, last_event)


async def release(
    session: AsyncSession, id: int, pause: float, attempts: int = 0, error: str | None = None
) -> None:
    """`pause`: seconds in which nobody sends to it. First of all that is noted about a message:
    whoever removes a recipient locks it before its notices, too.
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


async def wait_until(session: AsyncSession, id: int, moment: datetime) -> None:
    """Nobody sends to it before; what failed so far is forgotten."""
    values = {"leased_until": None, "attempts": 0, "next_send_at": moment}
    await session.execute(update(Recipient).where(Recipient.id == id).values(values))


async def switch_off(session: AsyncSession, id: int, reason: str) -> None:
    off = update(Recipient).where(Recipient.id == id)
    await session.execute(off.values(off_reason=reason))
