"""Reads the event log in an order in which no event appears before a reader's position.

An id is assigned when a row is written, but the row becomes visible when its transaction commits.
So a row with a higher id may become visible first. The log is therefore read in the order of
(transaction, id), and only up to the oldest running transaction: rows below it are complete.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from db.tables.events import EventRow
from domain.events.kinds import EventKind
from domain.events.visibility import FLEET_KINDS, TOKEN_KINDS

LAST_ID = 2**63 - 1
OLDEST_RUNNING = text("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")

Position = tuple[int, int]
"""Transaction and id of an event. A reader at this position has read it and all before it."""

START: Position = (-(2**63), 0)


@dataclass(frozen=True, slots=True)
class Batch:
    """`end`: the position from which to continue. `more`: True if more events can be read now.

    `pending`: True if there are later events that an open transaction blocks.
    """

    events: Sequence[EventRow]
    end: Position
    more: bool
    pending: bool


async def last_readable(session: AsyncSession) -> Position:
    """Return the position of the last event that can be read now; START if there is none.

    It is always the position of an event, because its commit was flushed. A transaction number
    alone may be assigned again after a crash.
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
    *conditions: ColumnElement[bool],
    until: Position | None = None,
) -> Batch:
    """Return events after a position, up to `until`, or up to the last one that can be read."""
    end = until or await last_readable(session)
    found = (await session.scalars(_between(after, end).where(*conditions).limit(limit))).all()
    if len(found) == limit:
        return Batch(found, position_of(found[-1]), more=True, pending=False)
    pending = until is None and await _exists_after(session, end)
    return Batch(found, end, more=False, pending=pending)


async def counts_after(
    session: AsyncSession, after: Sequence[Position], *conditions: ColumnElement[bool]
) -> Sequence[int]:
    """Return the number of visible events after each position, all in one snapshot.

    Also counts events that can't be read yet, because an older transaction is open.
    """
    key = tuple_(EventRow.tx, EventRow.id)
    counts = [func.count().filter(key > position) for position in after]
    found = await session.execute(select(*counts).where(key > min(after), *conditions))
    return tuple(found.one())


async def read_ids(
    session: AsyncSession, after: Position, limit: int
) -> tuple[list[int], Position, bool]:
    """Return the ids of events after a position, as `Batch` does: ids, `end` and `more`."""
    end = await last_readable(session)
    statement = _between(after, end).with_only_columns(EventRow.tx, EventRow.id).limit(limit)
    found = (await session.execute(statement)).all()
    more = len(found) == limit
    return [id for _, id in found], (found[-1].tx, found[-1].id) if more else end, more


def of_fleet() -> ColumnElement[bool]:
    """Return the condition of `is_of_fleet` in SQL."""
    about_device = and_(EventRow.kind.in_(TOKEN_KINDS), EventRow.device_id.is_not(None))
    return or_(EventRow.kind.in_(FLEET_KINDS), about_device)


def of_kinds(kinds: Collection[EventKind]) -> ColumnElement[bool]:
    return EventRow.kind.in_(kinds)


def position_of(event: EventRow) -> Position:
    return (event.tx, event.id)


async def position_of_id(session: AsyncSession, id: int) -> Position | None:
    """Return the position of an event; None if there is no event with this id."""
    found = await session.execute(select(EventRow.tx, EventRow.id).where(EventRow.id == id))
    row = found.one_or_none()
    return (row.tx, row.id) if row else None


async def repair_after_restore(connection: AsyncConnection) -> None:
    """Lower the transaction numbers of a restored log below those of this server.

    A restored log has the numbers of the server it came from, and a new server starts at a low
    number. Without this, new events would sort before the old ones.
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
        for table in ("events", "fan_out_position"):
            await connection.execute(
                text(f"UPDATE {table} SET tx = tx - :highest - 1"),  # noqa: S608
                {"highest": highest},
            )


def _between(after: Position, until: Position) -> Select[EventRow]:
    key = tuple_(EventRow.tx, EventRow.id)
    in_range = and_(key > after, key <= until)
    return select(EventRow).where(in_range).order_by(EventRow.tx, EventRow.id)


async def _exists_after(session: AsyncSession, end: Position) -> bool:
    later = select(select(EventRow.id).where(EventRow.tx > end[0]).exists())
    return bool((await session.execute(later)).scalar_one())
