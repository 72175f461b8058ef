"""Owners, places and measurement types, by the names that callers give."""

from sqlalchemy.ext.asyncio import AsyncSession

from db.devices import topic_levels
from db.tables.devices import OwnerRow
from domain.access.caller import Caller
from domain.devices.device import NamedRef
from domain.devices.inputs import RegistrationInput
from domain.errors import ErrorCode, InputError
from domain.names import name_key
from resolvers.services import Services


def known_names(
    services: Services, caller: Caller, wanted: RegistrationInput
) -> tuple[NamedRef, NamedRef, NamedRef] | None:
    """Of owner, place and type, where this process has seen them; None if it has not, or the caller
    may not register for this owner.
    """
    place, type = wanted.location.place, wanted.measurement_type
    names = services.levels.get(wanted.owner, place, type) if wanted.owner else None
    if caller.owner_id is None:
        return names
    own = services.levels.get(caller.owner_id, place, type)
    return own if wanted.owner is None or own == names else None


async def make_names(
    services: Services, caller: Caller, wanted: RegistrationInput, *, in_turn: bool
) -> tuple[NamedRef, NamedRef, NamedRef]:
    """As `known_names`; they are made, and committed, where there are none.

    `in_turn`: the request has a connection already (`resolvers/retry.py`). Requests that wait for a
    second one of the same pool could wait for each other.
    Raises InputError if the caller may not register for this owner.
    """
    async with services.database.transaction(background=in_turn) as session:
        owner = await owner_for(session, caller, wanted.owner)
        place, type = wanted.location.place, wanted.measurement_type
        found = await topic_levels.get_or_create_levels(session, owner, place, type)
    return services.levels.learn(found)


async def owner_for(session: AsyncSession, caller: Caller, name: str | None) -> OwnerRow:
    """The owner that is named, or to whom the caller is confined."""
    if caller.owner_id is None:
        if name is None:
            raise InputError.at("owner", "Name the owner: this key belongs to no single one.")
        return await topic_levels.get_or_create_owner(session, name)
    owner = await session.get_one(OwnerRow, caller.owner_id)
    if name is not None and name_key(name) != owner.name_key:
        raise InputError.at("owner", f"This token is for {owner.name} only.", ErrorCode.NOT_ALLOWED)
    return owner
