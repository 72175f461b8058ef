"""Owners, places and measurement types: found by name, or made with a topic level of their own."""

from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from db.postgres.advisory_locks import Lock, hold
from db.tables.devices import MeasurementType, Owner, Place
from domain.names import choose_slug, name_key, slug_root

# One lock for all of them: new names are rare, and one lock can't deadlock with itself.

Level = TypeVar("Level", Owner, Place, MeasurementType)


@dataclass(frozen=True, slots=True)
class Levels:
    owner: Owner
    place: Place
    measurement_type: MeasurementType


async def find_owner(session: AsyncSession, name: str) -> Owner | None:
    return await _find(session, Owner, name, {})


async def owner_named(session: AsyncSession, name: str) -> Owner:
    return await _named(session, Owner, name, {}, "owner")


async def levels_named(session: AsyncSession, owner: Owner, place: str, measurement: str) -> Levels:
    """The place and the type among one owner's, made where the owner has none of that name."""
    return Levels(
        owner,
        await place_named(session, owner, place),
        await type_named(session, owner, measurement),
    )


async def place_named(session: AsyncSession, owner: Owner, name: str) -> Place:
    return await _named(session, Place, name, {"owner_id": owner.id}, "place")


async def type_named(session: AsyncSession, owner: Owner, name: str) -> MeasurementType:
    return await _named(session, MeasurementType, name, {"owner_id": owner.id}, "type")


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
    await hold(session, Lock.TOPIC_LEVELS)
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
