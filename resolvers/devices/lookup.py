"""The device that an operation is about."""

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
    """One that the caller can see, locked for the change; raises InputError where there is none."""
    device = await device_queries.find_for_update(session, caller.scope, id.lower())
    if device is None:
        raise no_such_device(field)
    return device


async def get_device(services: Services, caller: Caller, id: str) -> DeviceRecord | None:
    """One that the caller can see, as it is now; None where there is none."""
    id = id.lower()
    if not is_device_id(id) or caller.device_id not in (None, id):
        return None
    found = await services.reads.device(id)
    return found if found and caller.owner_id in (None, found.owner_id) else None


def no_such_device(field: str) -> InputError:
    return InputError.at(field, "There is no such device.", ErrorCode.NOT_FOUND)
