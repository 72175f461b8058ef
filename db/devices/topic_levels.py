"""Owners, places and measurement types: found by name, or made with a topic level of their own."""

from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from db.postgres.advisory_locks import Lock, lock
from db.tables.devices import MeasurementTypeRow, OwnerRow, PlaceRow
from domain.names import choose_slug, name_key, slug_root

# One lock for all of them: new names are rare, and one lock can't deadlock with itself.

Level = TypeVar("Level", OwnerRow, PlaceRow, MeasurementTypeRow)


@dataclass(frozen=True, slots=True)
class TopicLevels:
    owner: OwnerRow
    place: PlaceRow
    measurement_type: MeasurementTypeRow


async def find_owner(session: AsyncSession, name: str) -> OwnerRow | None:
    return await _find(session, OwnerRow, name, {})


async def get_or_create_owner(session: AsyncSession, name: str) -> OwnerRow:
    return await _named(session, OwnerRow, name, {}, "owner")


async def get_or_create_levels(
    session: AsyncSession, owner: OwnerRow, place: str, measurement: str
) -> TopicLevels:
    """The place and the type among one owner's, made where the owner has none of that name."""
    return TopicLevels(
        owner,
        await get_or_create_place(session, owner, place),
        await get_or_create_type(session, owner, measurement),
    )


async def get_or_create_place(session: AsyncSession, owner: OwnerRow, name: str) -> PlaceRow:
    return await _named(session, PlaceRow, name, {"owner_id": owner.id}, "place")


async def get_or_create_type(
    session: AsyncSession, owner: OwnerRow, name: str
) -> MeasurementTypeRow:
    return await _named(session, MeasurementTypeRow, name, {"owner_id": owner.id}, "type")


async def _find(
    session: AsyncSession, table: type[Level], name: str, scope: dict[str, Any]
) -> Level | None:
    found = select(table).filter_by(name_key=name_key(name), **scope)
    return (await session.scalars(found)).one_or_none()


async def _named(
    session: AsyncSession, table: type[Level], name: str, scope: dict[str, Any], fallback: str
) -> Level:
    return await _find(session, table, name, scope) or await _make(
        session, table, name, scope, fallback
    )


async def _make(
    session: AsyncSession, table: type[Level], name: str, scope: dict[str, Any], fallback: str
) -> Level:
    await lock(session, Lock.TOPIC_LEVELS)
    if found := await _find(session, table, name, scope):
        return found
    similar = (
        select(table.slug)
        .filter_by(**scope)
        .where(table.slug.startswith(slug_root(name, fallback), autoescape=True))
    )
    taken = set(await session.scalars(similar))
    level = table(
        name=name, name_key=name_key(name), slug=choose_slug(name, taken, fallback), **scope
    )
    session.add(level)
    await session.flush()
    return level
