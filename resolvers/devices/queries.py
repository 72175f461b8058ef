"""Devices as people see and change them."""

from collections.abc import Sequence

from db.devices import config_history
from db.devices import queries as device_queries
from db.devices.fleet_counts import FleetCounts, fleet_counts
from db.paging import Slice
from db.tables.devices import AnyDevice
from domain.access.caller import Action, Caller
from domain.devices.config import Config
from domain.devices.device import DeviceRecord
from domain.devices.inputs import DeviceFilter
from domain.errors import InputError
from domain.inputs import Page
from resolvers.devices.lookup import get_device
from resolvers.services import Services

MAX_HISTORY = 100


async def me(services: Services, caller: Caller, own: DeviceRecord | None) -> DeviceRecord | None:
    """The device whose token this is; None for a person's token. `own`: it, if it was just read."""
    caller.require(Action.READ_SELF)
    if own or not caller.device_id:
        return own
    return await device(services, caller, caller.device_id)


async def device(services: Services, caller: Caller, id: str) -> DeviceRecord | None:
    """None where there is no such device, or none that the caller can see."""
    caller.require(Action.READ_DEVICE)
    return await get_device(services, caller, id)


async def list_devices(
    services: Services, caller: Caller, wanted: DeviceFilter, page: Page
) -> Slice[DeviceRecord]:
    caller.require(Action.READ_FLEET)
    # How many have a word nobody can tell before.
    few = bool(wanted.search) and (await count_devices(services, caller, wanted))[1]
    return await services.reads.page(caller.scope, wanted, page, few=few)


async def count_devices(
    services: Services, caller: Caller, wanted: DeviceFilter
) -> tuple[int, bool]:
    """How many there are, and whether that is exact."""
    caller.require(Action.READ_FLEET)
    async with services.database.transaction() as session:
        return await device_queries.count(session, caller.scope, wanted)


async def count_fleet(services: Services, caller: Caller) -> FleetCounts:
    caller.require(Action.READ_FLEET)
    async with services.database.transaction() as session:
        return await fleet_counts(session, caller.scope)


def check_history(first: int) -> None:
    """Raises InputError for more versions than can be had at once."""
    if not 1 <= first <= MAX_HISTORY:
        raise InputError.at("first", f"Ask for 1 to {MAX_HISTORY} versions.")


async def config_histories(
    services: Services, wanted: Sequence[tuple[AnyDevice, int]]
) -> list[list[Config]]:
    """The configs of devices that the caller has in hand, so many of each, the newest first."""
    lengths = {first for _, first in wanted}
    past: dict[tuple[str, int], list[Config]] = {}
    async with services.database.transaction() as session:
        for first in lengths - {1}:
            ids = {device.id for device, length in wanted if length == first}
            found = await config_history.config_histories(session, ids, first - 1)
            past |= {(id, first): configs for id, configs in found.items()}
    return [[device.config, *past.get((device.id, first), [])] for device, first in wanted]


async def past_configs(
    services: Services, versions: Sequence[tuple[str, int]]
) -> list[Config | None]:
    """Replaced config versions, by device id and version, in the order asked for."""
    async with services.database.transaction() as session:
        found = await config_history.past_configs(session, versions)
    return [found.get(version) for version in versions]
