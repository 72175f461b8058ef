"""Owners, places and measurement types, by the names in inputs."""

from sqlalchemy.ext.asyncio import AsyncSession

from db.devices import topic_levels
from db.tables.devices import OwnerRow
from domain.access.caller import Caller
from domain.devices.device import NamedRef
from domain.devices.inputs import RegistrationInput
from domain.errors import ErrorCode, InputError
from domain.names import name_key
from resolvers.services import Services


def cached_names(
    services: Services, caller: Caller, wanted: RegistrationInput
) -> tuple[NamedRef, NamedRef, NamedRef] | None:
    """Return owner, place and type from the cache of this process.

    Returns None if one is not cached, or the caller may not register for this owner.
    """
    place, type = wanted.location.place, wanted.measurement_type
    names = services.levels.get(wanted.owner, place, type) if wanted.owner else None
    if caller.owner_id is None:
        return names
    caller_names = services.levels.get(caller.owner_id, place, type)
    return caller_names if wanted.owner is None or caller_names == names else None


async def get_or_create_names(
    services: Services, caller: Caller, wanted: RegistrationInput, *, background: bool
) -> tuple[NamedRef, NamedRef, NamedRef]:
    """Return owner, place and type. Those that do not exist are created and committed.

    `background`: use the background pool, because the request has a connection already
    (`resolvers/retry.py`): waiting for a second one of the same pool could deadlock.
    Raises InputError if the caller may not register for this owner.
    """
    async with services.database.transaction(background=background) as session:
        owner = await owner_for(session, caller, wanted.owner)
        place, type = wanted.location.place, wanted.measurement_type
        found = await topic_levels.get_or_create_levels(session, owner, place, type)
    return services.levels.add(found)


async def owner_for(session: AsyncSession, caller: Caller, name: str | None) -> OwnerRow:
    """Return the owner with this name, or the one that the caller is limited to."""
    if caller.owner_id is None:
        if name is None:
            raise InputError.at("owner", "Give the owner: this token is not limited to one.")
        return await topic_levels.get_or_create_owner(session, name)
    owner = await session.get_one(OwnerRow, caller.owner_id)
    if name is not None and name_key(name) != owner.name_key:
        raise InputError.at(
            "owner", f"This token is for the owner {owner.name} only.", ErrorCode.NOT_ALLOWED
        )
    return owner
