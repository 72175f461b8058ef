"""Queries of devices, most of them limited to a caller's scope."""

from collections.abc import Collection, Sequence

from sqlalchemy import Select, bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload

from db import counting
from db.devices.filters import filter_values, matching, shape_of
from db.tables.devices import DeviceRow
from domain.access.caller import Scope
from domain.devices.identity import is_device_id
from domain.devices.inputs import DeviceFilter

WITH_NAMES = (
    joinedload(DeviceRow.owner, innerjoin=True),
    joinedload(DeviceRow.place, innerjoin=True),
    joinedload(DeviceRow.measurement_type, innerjoin=True),
)


def in_scope(scope: Scope) -> Select[DeviceRow]:
    """Select the devices that a caller may see. Queries for a caller start with it."""
    statement = select(DeviceRow)
    if scope.owner_id is not None:
        statement = statement.where(DeviceRow.owner_id == bindparam("of_owner", scope.owner_id))
    if scope.device_id is not None:
        statement = statement.where(DeviceRow.id == bindparam("of_device", scope.device_id))
    return statement


async def find(session: AsyncSession, scope: Scope, id: str) -> DeviceRow | None:
    if not is_device_id(id):
        return None
    found = in_scope(scope).where(DeviceRow.id == id).options(*WITH_NAMES)
    return (await session.scalars(found)).one_or_none()


async def find_for_update(session: AsyncSession, scope: Scope, id: str) -> DeviceRow | None:
    """Return a device as `find` does, and lock it until the transaction ends."""
    if not is_device_id(id):
        return None
    found = in_scope(scope).where(DeviceRow.id == id).options(*WITH_NAMES)
    return (await session.scalars(found.with_for_update(of=DeviceRow))).one_or_none()


async def all_for_update(session: AsyncSession, ids: Collection[str]) -> Sequence[DeviceRow]:
    found = (
        select(DeviceRow).where(DeviceRow.id.in_(ids)).order_by(DeviceRow.id).options(*WITH_NAMES)
    )
    return (await session.scalars(found.with_for_update(of=DeviceRow))).all()


async def by_ids(session: AsyncSession, ids: Collection[str]) -> dict[str, DeviceRow]:
    """Return devices without a scope. The caller of this function must check their owner."""
    found = select(DeviceRow).where(DeviceRow.id.in_(ids)).options(*WITH_NAMES)
    return {device.id: device for device in await session.scalars(found)}


async def count(session: AsyncSession, scope: Scope, wanted: DeviceFilter) -> tuple[int, bool]:
    values = filter_values(scope, wanted)
    return await counting.count(session, matching(shape_of(values), values))
