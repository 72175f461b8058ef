"""The device that an operation is about."""

from sqlalchemy.ext.asyncio import AsyncSession

from db import devices
from db.tables import Device
from domain.access import Caller
from domain.errors import ErrorCode, InputError


async def existing(
    session: AsyncSession,
    caller: Caller,
    id: str,
    field: str = "id",
) -> Device:
    """One that the caller can see, locked for the change; raises InputError where there is none."""
    device = await devices.find_for_update(session, caller.scope, id.lower())
    if device is None:
        raise InputError.at(field, "There is no such device.", ErrorCode.NOT_FOUND)
    return device
