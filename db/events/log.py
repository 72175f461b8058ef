"""The log of events, read in an order in which nothing turns up behind a reader's back.

Ids are given when a row is written and seen when its transaction commits, so the row with the
higher id may be seen first. The log is therefore read in the order of (transaction, id), and only
up to the oldest transaction that still runs: whatever is below that will not change any more.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, and_, func, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from db.tables.events import EventRow
from domain.events.kinds import EventKind

LAST_ID = 2**63 - 1
OLDEST_RUNNING = text("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")

Position = tuple[int, int]
"""Transaction and id of an event: a reader has seen all up to this one."""

START: Position = (-(2**63), 0)


@dataclass(frozen=True, slots=True)
class Batch:
    """`end`: where to read on. `more`: at once. `pending`: events wait for another transaction."""

    events: Sequence[EventRow]
    end: Position
    more: bool
    pending: bool


async def last_readable(session: AsyncSession) -> Position:
    """The last event that can be read now; START where there is none.

    Always an event's own position: its commit was flushed, whereas a bare transaction number may be
    given again after a crash.
    """
    oldest: int = (await session.execute(OLDEST_RUNNING)).scalar_one()
    last = select(EventRow.tx, EventRow.id).where(EventRow.tx < oldest)
    found = await session.execute(last.order_by(EventRow.tx.desc(), EventRow.id.desc()).limit(1))
    row = found.one_or_none()
    return (row.tx, row.id) if row else START


async def read(
    session: AsyncSession,
    after: Position,
    limit: int,
    *which: ColumnElement[bool],
    until: Position | None = None,
) -> Batch:
    """What comes `after`, as far as it is settled, or `until` there."""
    end = until or await last_readable(session)
    found = (await session.scalars(_between(after, end).where(*which).limit(limit))).all()
    if len(found) == limit:
        return Batch(found, position_of(found[-1]), more=True, pending=False)
    pending = until is None and await _exists_after(session, end)
    return Batch(found, end, more=False, pending=pending)


async def counts_after(
    session: AsyncSession, after: Sequence[Position], *which: ColumnElement[bool]
) -> Sequence[int]:
    """How many can be seen beyond each position, also while older transactions still run.

    All at one moment.
    """
    place = tuple_(EventRow.tx, EventRow.id)
    counts = [func.count().filter(place > position) for position in after]
    found = await session.execute(select(*counts).where(place > min(after), *which))
    return tuple(found.one())


async def read_ids(
    session: AsyncSession, after: Position, limit: int
) -> tuple[list[int], Position, bool]:
    """The ids of what comes `after`, as far as it is settled; where to read on; and whether there
    is more at once.
    """
    end = await last_readable(session)
    place = _between(after, end).with_only_columns(EventRow.tx, EventRow.id).limit(limit)
    found = (await session.execute(place)).all()
    more = len(found) == limit
    return [id for _, id in found], (found[-1].tx, found[-1].id) if more else end, more


def of_kinds(kinds: Collection[EventKind]) -> ColumnElement[bool]:
    return EventRow.kind.in_(kinds)


def position_of(event: EventRow) -> Position:
    return (event.tx, event.id)


async def position_of_id(session: AsyncSession, id: int) -> Position | None:
    """The position of an event; None where there is none with this id (any more)."""
    found = await session.execute(select(EventRow.tx, EventRow.id).where(EventRow.id == id))
    row = found.one_or_none()
    return (row.tx, row.id) if row else None


async def mend_after_restore(connection: AsyncConnection) -> None:
    """Moves the log below every transaction number of a server that it was restored to.

    A restored log has numbers of the server it came from, and a new server begins at a low one:
    new events would come before the old ones.
    """
    highest = (
        await connection.execute(
            select(func.max(EventRow.tx)).having(
                func.max(EventRow.tx)
                >= text("pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
            )
        )
    ).scalar_one_or_none()
    if highest is not None:
        for moved in ("events", "fan_out_position"):
            await connection.execute(
                text(f"UPDATE {moved} SET tx = tx - :highest - 1"),  # noqa: S608
                {"highest": highest},
            )


def _between(after: Position, until: Position) -> Select[EventRow]:
    place = tuple_(EventRow.tx, EventRow.id)
    inside = and_(place > after, place <= until)
    return select(EventRow).where(inside).order_by(EventRow.tx, EventRow.id)


async def _exists_after(session: AsyncSession, end: Position) -> bool:
    beyond = select(select(EventRow.id).where(EventRow.tx > end[0]).exists())
    return bool((await session.execute(beyond)).scalar_one())
