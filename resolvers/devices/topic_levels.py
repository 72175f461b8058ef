"""Owners, places and measurement types, by the names that callers give."""

from sqlalchemy.ext.asyncio import AsyncSession

from db.devices import topic_levels as levels
from db.tables.devices import Owner
from domain.access.caller import Caller
from domain.devices.device import Name
from domain.devices.inputs import Registration
from domain.errors import ErrorCode, InputError
from domain.names import name_key
from resolvers.services import Desk


def known_names(desk: Desk, caller: Caller, wanted: Registration) -> tuple[Name, Name, Name] | None:
    """Of owner, place and type, where this process has seen them; None if it has not, or the caller
    may not register for this owner.
    """
    place, type = wanted.location.place, wanted.measurement_type
    names = desk.levels.get(wanted.owner, place, type) if wanted.owner else None
    if caller.owner_id is None:
        return names
    own = desk.levels.get(caller.owner_id, place, type)
    return own if wanted.owner is None or own == names else None


async def make_names(
    desk: Desk, caller: Caller, wanted: Registration, *, in_turn: bool
) -> tuple[Name, Name, Name]:
    """As `known_names`; they are made, and committed, where there are none.

    `in_turn`: the request has a connection already (`resolvers/retry.py`). Requests that wait for a
    second one of the same pool could wait for each other.
    Raises InputError if the caller may not register for this owner.
    """
    async with desk.database.begin(own=in_turn) as session:
        owner = await owner_for(session, caller, wanted.owner)
        place, type = wanted.location.place, wanted.measurement_type
        found = await levels.levels_named(session, owner, place, type)
    return desk.levels.learn(found)


async def owner_for(session: AsyncSession, caller: Caller, name: str | None) -> Owner:
    """The owner that is named, or to whom the caller is confined."""
    if caller.owner_id is None:
        if name is None:
            raise InputError.at("owner", "Name the owner: this key belongs to no single one.")
        return await levels.owner_named(session, name)
    owner = await session.get_one(Owner, caller.owner_id)
    if name is not None and name_key(name) != owner.name_key:
        raise InputError.at("owner", f"This token is for {owner.name} only.", ErrorCode.NOT_ALLOWED)
    return owner
