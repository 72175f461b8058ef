"""Devices as people see and change them."""

from collections.abc import Sequence

from db.devices import config_history
from db.devices import queries as devices
from db.devices.fleet_counts import FleetCounts, fleet_counts
from db.paging import Rows
from db.tables.devices import AnyDevice
from domain.access.caller import Action, Caller
from domain.devices.config import Config
from domain.devices.device import DeviceView
from domain.devices.inputs import DeviceFilter
from domain.errors import InputError
from domain.inputs import Page
from resolvers.devices.lookup import visible
from resolvers.services import Desk

MAX_HISTORY = 100


async def me(desk: Desk, caller: Caller, own: DeviceView | None) -> DeviceView | None:
    """The device whose token this is; None for a person's token. `own`: it, if it was just read."""
    caller.require(Action.READ_SELF)
    if own or not caller.device_id:
        return own
    return await device(desk, caller, caller.device_id)


async def device(desk: Desk, caller: Caller, id: str) -> DeviceView | None:
    """None where there is no such device, or none that the caller can see."""
    caller.require(Action.READ_DEVICE)
    return await visible(desk, caller, id)


async def list_devices(
    desk: Desk, caller: Caller, wanted: DeviceFilter, page: Page
) -> Rows[DeviceView]:
    caller.require(Action.READ_FLEET)
    # How many have a word nobody can tell before.
    few = bool(wanted.search) and (await count_devices(desk, caller, wanted))[1]
    return await desk.reader.page(caller.scope, wanted, page, few=few)


async def count_devices(desk: Desk, caller: Caller, wanted: DeviceFilter) -> tuple[int, bool]:
    """How many there are, and whether that is exact."""
    caller.require(Action.READ_FLEET)
    async with desk.database.begin() as session:
        return await devices.count(session, caller.scope, wanted)


async def count_fleet(desk: Desk, caller: Caller) -> FleetCounts:
    caller.require(Action.READ_FLEET)
    async with desk.database.begin() as session:
        return await fleet_counts(session, caller.scope)


def check_history(first: int) -> None:
    """Raises InputError for more versions than can be had at once."""
    if not 1 <= first <= MAX_HISTORY:
        raise InputError.at("first", f"Ask for 1 to {MAX_HISTORY} versions.")


async def config_histories(
    desk: Desk, wanted: Sequence[tuple[AnyDevice, int]]
) -> list[list[Config]]:
    """The configs of devices that the caller has in hand, so many of each, the newest first."""
    lengths = {first for _, first in wanted}
    past: dict[tuple[str, int], list[Config]] = {}
    async with desk.database.begin() as session:
        for first in lengths - {1}:
            ids = {device.id for device, length in wanted if length == first}
            found = await config_history.config_histories(session, ids, first - 1)
            past |= {(id, first): configs for id, configs in found.items()}
    return [[device.config, *past.get((device.id, first), [])] for device, first in wanted]


async def past_configs(desk: Desk, versions: Sequence[tuple[str, int]]) -> list[Config | None]:
    """Replaced config versions, by device id and version, in the order asked for."""
    async with desk.database.begin() as session:
        found = await config_history.past_configs(session, versions)
    return [found.get(version) for version in versions]
