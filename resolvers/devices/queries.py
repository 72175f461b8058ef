"""Queries for devices, their counts and config histories."""

from collections.abc import Sequence

from db.devices import config_history
from db.devices import queries as device_queries
from db.devices.fleet_counts import FleetCounts, fleet_counts
from db.paging import Slice
from db.tables.devices import AnyDevice
from domain.access.caller import Caller
from domain.access.permissions import Action
from domain.devices.config import Config
from domain.devices.device import DeviceRecord
from domain.devices.inputs import DeviceFilter
from domain.errors import InputError
from domain.inputs import Page
from resolvers.devices.lookup import get_device
from resolvers.services import Services

MAX_HISTORY = 100


async def me(
    services: Services, caller: Caller, caller_device: DeviceRecord | None
) -> DeviceRecord | None:
    """Return the device of a device token; None for other tokens.

    `caller_device`: that device, if the authentication has read it.
    """
    caller.require(Action.READ_SELF)
    if caller_device or not caller.device_id:
        return caller_device
    return await device(services, caller, caller.device_id)


async def device(services: Services, caller: Caller, id: str) -> DeviceRecord | None:
    """Return the device; None if it is unknown or the caller can't see it."""
    caller.require(Action.READ_DEVICE)
    return await get_device(services, caller, id)


async def list_devices(
    services: Services, caller: Caller, wanted: DeviceFilter, page: Page
) -> Slice[DeviceRecord]:
    caller.require(Action.READ_FLEET)
    # PostgreSQL can't estimate how many devices match a search word in advance.
    few = bool(wanted.search) and (await count_devices(services, caller, wanted))[1]
    return await services.reads.page(caller.scope, wanted, page, few=few)


async def count_devices(
    services: Services, caller: Caller, wanted: DeviceFilter
) -> tuple[int, bool]:
    """Return the number of matching devices, and whether it is exact."""
    caller.require(Action.READ_FLEET)
    async with services.database.transaction() as session:
        return await device_queries.count(session, caller.scope, wanted)


async def count_fleet(services: Services, caller: Caller) -> FleetCounts:
    caller.require(Action.READ_FLEET)
    async with services.database.transaction() as session:
        return await fleet_counts(session, caller.scope)


def check_history(first: int) -> None:
    """Raises InputError if `first` is not between 1 and MAX_HISTORY."""
    if not 1 <= first <= MAX_HISTORY:
        raise InputError.at("first", f"Give a number of versions from 1 to {MAX_HISTORY}.")


async def config_histories(
    services: Services, wanted: Sequence[tuple[AnyDevice, int]]
) -> list[list[Config]]:
    """Return the newest configs of devices, so many for each, newest first.

    Has no access check: the caller has read the devices.
    """
    lengths = {first for _, first in wanted}
    history: dict[tuple[str, int], list[Config]] = {}
    async with services.database.transaction() as session:
        for first in lengths - {1}:
            ids = {device.id for device, length in wanted if length == first}
            found = await config_history.config_histories(session, ids, first - 1)
            history |= {(id, first): configs for id, configs in found.items()}
    return [[device.config, *history.get((device.id, first), [])] for device, first in wanted]


async def past_configs(
    services: Services, versions: Sequence[tuple[str, int]]
) -> list[Config | None]:
    """Return replaced configs, by device id and version, in the order of `versions`."""
    async with services.database.transaction() as session:
        found = await config_history.past_configs(session, versions)
    return [found.get(version) for version in versions]
