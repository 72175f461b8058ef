"""Queries of the event log, the newest event first."""

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, false, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from db.events import log as event_log
from db.paging import Slice, cursor, position
from db.tables.devices import OwnerRow
from db.tables.events import EventRow
from domain.access.actors import SEPARATOR, sees_actors
from domain.access.caller import Caller
from domain.access.permissions import Action
from domain.devices.identity import is_device_id
from domain.events.inputs import EventFilter
from domain.inputs import Page
from domain.names import name_key

DEVICE = "device:"


async def page(
    session: AsyncSession, caller: Caller, wanted: EventFilter, page: Page
) -> Slice[EventRow]:
    """Return the events that the caller can see, in descending order of their ids."""
    statement = select(EventRow).where(*_conditions(caller, wanted)).order_by(EventRow.id.desc())
    if page.after is not None:
        statement = statement.where(EventRow.id < position("event", page.after))
    found = (await session.scalars(statement.limit(page.first + 1))).all()
    return Slice.of(found, page, lambda event: cursor("event", event.id))


async def owner_names(
    session: AsyncSession, events: Sequence[EventRow]
) -> dict[int, tuple[str, str]]:
    """Return name and slug of the owners of events, by owner id."""
    ids: Collection[int] = {event.owner_id for event in events if event.owner_id is not None}
    if not ids:
        return {}
    wanted = select(OwnerRow.id, OwnerRow.name, OwnerRow.slug).where(OwnerRow.id.in_(ids))
    return {row.id: (row.name, row.slug) for row in await session.execute(wanted)}


def _conditions(caller: Caller, wanted: EventFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if not caller.may(Action.READ_ADMINISTRATION):
        conditions.append(event_log.of_fleet())
    if caller.owner_id is not None:
        conditions.append(EventRow.owner_id == caller.owner_id)
    if wanted.device_id is not None:
        id = wanted.device_id.lower()
        conditions.append(EventRow.device_id == id if is_device_id(id) else false())
    if wanted.owner is not None:
        named = select(OwnerRow.id).where(OwnerRow.name_key == name_key(wanted.owner))
        conditions.append(EventRow.owner_id == named.scalar_subquery())
    if wanted.kinds is not None:
        conditions.append(EventRow.kind.in_(wanted.kinds))
    if wanted.actor is not None:
        conditions += _by_actor(wanted.actor, caller)
    if wanted.since is not None:
        conditions.append(EventRow.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(EventRow.at < wanted.until)
    return conditions


def _by_actor(actor: str, caller: Caller) -> list[ColumnElement[bool]]:
    """Return conditions that match the indexes: on the device id, or on other actors.

    They compare with what the caller sees of an actor, else the filter would reveal the rest.
    """
    same = EventRow.actor == actor
    if actor.startswith(DEVICE):
        return [same, EventRow.device_id == actor.removeprefix(DEVICE)]
    if not sees_actors(caller):
        same = func.split_part(EventRow.actor, SEPARATOR, 1) == actor
    return [same, EventRow.actor.not_like(f"{DEVICE}%")]
