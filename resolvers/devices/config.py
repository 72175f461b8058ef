"""Changes of a device's desired config."""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from domain.access.caller import Caller
from domain.access.permissions import Action
from domain.devices.config_change import decide_config_change
from domain.devices.device import DeviceRecord
from domain.devices.inputs import ConfigChange
from resolvers.devices.lookup import get_device, no_such_device
from resolvers.retry import until_written
from resolvers.services import Services


async def update_config(
    services: Services, caller: Caller, id: str, wanted: ConfigChange
) -> DeviceRecord:
    """Change a config. If the values are the same already, nothing is written, no new version."""
    caller.require(Action.CHANGE_DEVICE)

    async def attempt(session: AsyncSession | None) -> DeviceRecord | None:
        device = await get_device(services, caller, id)
        if device is None:
            raise no_such_device("deviceId")
        decided = decide_config_change(device, wanted, caller.actor, datetime.now(UTC))
        if decided is None:
            return device
        write, changed = decided
        return changed if await services.writes.change_config(write, session) else None

    return await until_written(services, id.lower(), attempt)
