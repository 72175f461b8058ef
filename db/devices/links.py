"""Queries and changes of links between devices."""

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, Select, delete, false, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload

from db import counting
from db.devices.queries import WITH_NAMES, in_scope
from db.paging import Slice, cursor, position
from db.postgres import advisory_locks
from db.postgres.advisory_locks import Lock
from db.tables.devices import AnyDevice, DeviceRow, MeasurementTypeRow, PlaceRow
from db.tables.links import LinkRow
from domain.access.caller import Scope
from domain.inputs import Page

WITH_SELECTOR = (
    joinedload(LinkRow.owner, innerjoin=True),
    joinedload(LinkRow.place),
    joinedload(LinkRow.measurement_type),
    joinedload(LinkRow.source),
)


async def lock_links(session: AsyncSession) -> None:
    """Lock links and topics against other changes. Call it before any device is locked.

    So each change sees the previous one, and can lock several devices in any order.
    """
    await advisory_locks.lock(session, Lock.LINKS)


async def by_id(session: AsyncSession, owner_id: int | None, id: int) -> LinkRow | None:
    found = select(LinkRow).where(LinkRow.id == id).options(*WITH_SELECTOR)
    if owner_id is not None:
        found = found.where(LinkRow.owner_id == owner_id)
    return (await session.scalars(found)).one_or_none()


async def find_same(
    session: AsyncSession,
    listener: DeviceRow,
    place: PlaceRow | None,
    measurement_type: MeasurementTypeRow | None,
    source: DeviceRow | None,
) -> LinkRow | None:
    """Return the link of a listener with the same selector, or None."""
    found = select(LinkRow).where(
        LinkRow.listener_id == listener.id,
        LinkRow.place_id.is_not_distinct_from(place.id if place else None),
        LinkRow.measurement_type_id.is_not_distinct_from(
            measurement_type.id if measurement_type else None
        ),
        LinkRow.source_id.is_not_distinct_from(source.id if source else None),
    )
    return (await session.scalars(found.options(*WITH_SELECTOR))).one_or_none()


async def of_listeners(session: AsyncSession, ids: Collection[str]) -> dict[str, list[LinkRow]]:
    """Return the links of several listeners, the oldest first."""
    wanted = select(LinkRow).where(LinkRow.listener_id.in_(ids)).options(*WITH_SELECTOR)
    found: dict[str, list[LinkRow]] = {id: [] for id in ids}
    for link in await session.scalars(wanted.order_by(LinkRow.id)):
        found[link.listener_id].append(link)
    return found


async def listener_ids(session: AsyncSession, source_id: str) -> Sequence[str]:
    """Return the listeners of links that name the source by its id."""
    wanted = select(LinkRow.listener_id).where(LinkRow.source_id == source_id)
    return (await session.scalars(wanted.order_by(LinkRow.listener_id))).all()


async def remove(session: AsyncSession, *conditions: ColumnElement[bool]) -> None:
    await session.execute(delete(LinkRow).where(*conditions))


async def transfer(session: AsyncSession, old_id: str, new_id: str) -> None:
    """Move all links of a device, as listener and as source, to a device that has no links."""
    for column in (LinkRow.listener_id, LinkRow.source_id):
        await session.execute(update(LinkRow).where(column == old_id).values({column: new_id}))
    for link in [row for row in session if isinstance(row, LinkRow)]:
        session.expire(link)


async def sources(
    session: AsyncSession, scope: Scope, listener: AnyDevice, page: Page
) -> Slice[DeviceRow]:
    """Return the present sources of a listener, in the order of registration."""
    links = (await of_listeners(session, {listener.id}))[listener.id]
    return await _page(session, _of(scope, or_(false(), *map(_matches, links))), page)


async def listeners(
    session: AsyncSession, scope: Scope, source: AnyDevice, page: Page
) -> Slice[DeviceRow]:
    """Return the present listeners of a source, in the order of registration."""
    return await _page(session, _of(scope, DeviceRow.id.in_(_listeners_of(source))), page)


async def count_sources(
    session: AsyncSession, scope: Scope, listener: AnyDevice
) -> tuple[int, bool]:
    links = (await of_listeners(session, {listener.id}))[listener.id]
    return await counting.count(session, _of(scope, or_(false(), *map(_matches, links))))


async def count_listeners(
    session: AsyncSession, scope: Scope, source: AnyDevice
) -> tuple[int, bool]:
    return await counting.count(session, _of(scope, DeviceRow.id.in_(_listeners_of(source))))


def _listeners_of(source: AnyDevice) -> Select[str]:
    return select(LinkRow.listener_id).where(
        LinkRow.owner_id == source.owner_id,
        or_(LinkRow.place_id.is_(None), LinkRow.place_id == source.place_id),
        or_(
            LinkRow.measurement_type_id.is_(None),
            LinkRow.measurement_type_id == source.measurement_type_id,
        ),
        or_(LinkRow.source_id.is_(None), LinkRow.source_id == source.id),
    )


def _matches(link: LinkRow) -> ColumnElement[bool]:
    condition = DeviceRow.owner_id == link.owner_id
    for column, wanted in (
        (DeviceRow.place_id, link.place_id),
        (DeviceRow.measurement_type_id, link.measurement_type_id),
        (DeviceRow.id, link.source_id),
    ):
        if wanted is not None:
            condition &= column == wanted
    return condition


def _of(scope: Scope, condition: ColumnElement[bool]) -> Select[DeviceRow]:
    return in_scope(scope).where(condition)


async def _page(session: AsyncSession, wanted: Select[DeviceRow], page: Page) -> Slice[DeviceRow]:
    statement = wanted.options(*WITH_NAMES).order_by(DeviceRow.number)
    if page.after is not None:
        statement = statement.where(DeviceRow.number > position("device", page.after))
    found = (await session.scalars(statement.limit(page.first + 1))).all()
    return Slice.of(found, page, lambda device: cursor("device", device.number))
