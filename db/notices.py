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

LOCK = 7_265_542
LEASE_SECONDS = 90

CLAIM = text("""
    UPDATE recipients SET leased_until = now() + make_interval(secs => :lease)
    WHERE id = (
        SELECT r.id FROM recipients r
        WHERE r.channel = ANY(:channels) AND r.off_reason IS NULL AND r.next_send_at <= now()
            AND coalesce(r.leased_until < now(), true) AND coalesce(r.muted_until < now(), true)
            AND EXISTS (
                SELECT FROM notices n WHERE n.recipient_id = r.id AND n.state = 'waiting'
            )
        ORDER BY r.next_send_at LIMIT 1 FOR UPDATE SKIP LOCKED
    )
    RETURNING id
""")
RELEASE = text("""
    UPDATE recipients SET leased_until = NULL, attempts = :attempts,
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
    WHERE recipient_id = :id AND state = 'waiting' AND id <= :last
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


async def add(session: AsyncSession, notices: Collection[tuple[int, int]]) -> None:
    """Recipient and event, in the order in which they are to be told."""
    if notices:
        rows = [{"recipient_id": recipient, "event_id": event} for recipient, event in notices]
        await session.execute(insert(Notice).on_conflict_do_nothing(), rows)


async def claim(session: AsyncSession, channels: Collection[str]) -> Recipient | None:
    """Somebody for whom something waits and who may be sent to now: for a while this process's."""
    values = {"lease": LEASE_SECONDS, "channels": list(channels)}
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
    by_kind = {row[0]: row[1] for row in counts}
    return Waiting(first, by_kind, first_notice, last, first_event, last_event)


async def release(session: AsyncSession, id: int, pause: float, attempts: int = 0) -> None:
    """`pause`: seconds in which nobody sends to it."""
    await session.execute(RELEASE, {"id": id, "pause": pause, "attempts": attempts})


async def settle(
    session: AsyncSession, id: int, last: int, state: str, error: str | None = None
) -> None:
    """Up to the notice `last`: sent, or dead."""
    values = {"id": id, "last": last, "state": state, "error": error}
    await session.execute(SETTLE, values)


async def note_failure(session: AsyncSession, id: int, last: int, error: str) -> None:
    """They go on waiting."""
    await session.execute(FAIL, {"id": id, "last": last, "error": error})


async def wait_until(session: AsyncSession, id: int, moment: datetime) -> None:
    """Nobody sends to it before; what failed so far is forgotten."""
    values = {"leased_until": None, "attempts": 0, "next_send_at": moment}
    await session.execute(update(Recipient).where(Recipient.id == id).values(values))


async def redirect(session: AsyncSession, id: int, address: str) -> None:
    """It has another address by now; one that is told there already stays alone there."""
    recipient = await session.get(Recipient, id)
    if recipient is None:
        return
    other = select(Recipient.id).where(
        Recipient.channel == recipient.channel, Recipient.address == address
    )
    if (await session.scalars(other)).first() is None:
        recipient.address = address
    else:
        recipient.off_reason = f"its address is {address} now"


async def switch_off(session: AsyncSession, id: int, reason: str) -> None:
    off = update(Recipient).where(Recipient.id == id)
    await session.execute(off.values(off_reason=reason))
