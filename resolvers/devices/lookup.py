"""Reads the device of an operation, if the caller can see it."""

from sqlalchemy.ext.asyncio import AsyncSession

from db.devices import queries as device_queries
from db.tables.devices import DeviceRow
from domain.access.caller import Caller
from domain.devices.device import DeviceRecord
from domain.devices.identity import is_device_id
from domain.errors import ErrorCode, InputError
from resolvers.services import Services


async def get_device_for_update(
    session: AsyncSession,
    caller: Caller,
    id: str,
    field: str = "id",
) -> DeviceRow:
    """Return the device, locked. Raises InputError if the caller can't see it or it is unknown."""
    device = await device_queries.find_for_update(session, caller.scope, id.lower())
    if device is None:
        raise no_such_device(field)
    return device


async def get_device(services: Services, caller: Caller, id: str) -> DeviceRecord | None:
    """Return the device; None if it is unknown or the caller can't see it."""
    id = id.lower()
    if not is_device_id(id) or caller.device_id not in (None, id):
        return None
    found = await services.reads.device(id)
    return found if found and caller.owner_id in (None, found.owner_id) else None


def no_such_device(field: str) -> InputError:
    return InputError.at(field, "There is no such device.", ErrorCode.NOT_FOUND)
