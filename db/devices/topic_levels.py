"""Finds owners, places and measurement types by name, or creates them with a topic level."""

from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from db.postgres.advisory_locks import Lock, lock
from db.tables.devices import MeasurementTypeRow, OwnerRow, PlaceRow
from domain.names import choose_slug, name_key, slug_root

Level = TypeVar("Level", OwnerRow, PlaceRow, MeasurementTypeRow)


@dataclass(frozen=True, slots=True)
class TopicLevels:
    owner: OwnerRow
    place: PlaceRow
    measurement_type: MeasurementTypeRow


async def find_owner(session: AsyncSession, name: str) -> OwnerRow | None:
    return await _find(session, OwnerRow, name, {})


async def get_or_create_owner(session: AsyncSession, name: str) -> OwnerRow:
    return await _get_or_create(session, OwnerRow, name, {}, "owner")


async def get_or_create_levels(
    session: AsyncSession, owner: OwnerRow, place: str, measurement: str
) -> TopicLevels:
    """Return the place and the type of an owner. Creates those that do not exist."""
    return TopicLevels(
        owner,
        await get_or_create_place(session, owner, place),
        await get_or_create_type(session, owner, measurement),
    )


async def get_or_create_place(session: AsyncSession, owner: OwnerRow, name: str) -> PlaceRow:
    return await _get_or_create(session, PlaceRow, name, {"owner_id": owner.id}, "place")


async def get_or_create_type(
    session: AsyncSession, owner: OwnerRow, name: str
) -> MeasurementTypeRow:
    return await _get_or_create(session, MeasurementTypeRow, name, {"owner_id": owner.id}, "type")


async def _find(
    session: AsyncSession, table: type[Level], name: str, scope: dict[str, Any]
) -> Level | None:
    found = select(table).filter_by(name_key=name_key(name), **scope)
    return (await session.scalars(found)).one_or_none()


async def _get_or_create(
    session: AsyncSession, table: type[Level], name: str, scope: dict[str, Any], fallback: str
) -> Level:
    return await _find(session, table, name, scope) or await _create(
        session, table, name, scope, fallback
    )


async def _create(
    session: AsyncSession, table: type[Level], name: str, scope: dict[str, Any], fallback: str
) -> Level:
    # One lock for all levels: new names are rare, and a single lock can't deadlock.
    await lock(session, Lock.TOPIC_LEVELS)
    if found := await _find(session, table, name, scope):
        return found
    similar = (
        select(table.slug)
        .filter_by(**scope)
        .where(table.slug.startswith(slug_root(name, fallback), autoescape=True))
    )
    used = set(await session.scalars(similar))
    level = table(
        name=name, name_key=name_key(name), slug=choose_slug(name, used, fallback), **scope
    )
    session.add(level)
    await session.flush()
    return level
