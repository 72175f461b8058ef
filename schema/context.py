"""What a request's resolvers can reach."""

from functools import cached_property

from strawberry.dataloader import DataLoader
from strawberry.types import Info

from db.tables.devices import AnyDevice
from db.tables.links import LinkRow
from domain.access.caller import Caller
from domain.devices.config import Config
from domain.devices.device import DeviceRecord
from resolvers.devices import links
from resolvers.devices import queries as device_queries
from resolvers.services import Services


class Context:
    """`own`: the device whose token the caller's is, as it was when the request came; None where
    that is not known, or too long ago.
    """

    def __init__(self, services: Services, caller: Caller, own: DeviceRecord | None = None) -> None:
        self.services = services
        self.caller = caller
        self.own = own

    # Without a cache: a subscription's context lives long.

    @cached_property
    def past_configs(self) -> DataLoader[tuple[str, int], Config | None]:
        async def load(versions: list[tuple[str, int]]) -> list[Config | None]:
            return await device_queries.past_configs(self.services, versions)

        return DataLoader(load_fn=load, cache=False)

    @cached_property
    def config_histories(self) -> DataLoader[tuple[AnyDevice, int], list[Config]]:
        async def load(wanted: list[tuple[AnyDevice, int]]) -> list[list[Config]]:
            return await device_queries.config_histories(self.services, wanted)

        return DataLoader(load_fn=load, cache=False)

    @cached_property
    def links(self) -> DataLoader[str, list[LinkRow]]:
        async def load(ids: list[str]) -> list[list[LinkRow]]:
            found = await links.links_of(self.services, ids)
            return [found[id] for id in ids]

        return DataLoader(load_fn=load, cache=False)


RollcallInfo = Info[Context, None]
