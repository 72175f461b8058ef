"""What a request's resolvers can reach."""

from functools import cached_property

from strawberry.dataloader import DataLoader
from strawberry.types import Info

from db.tables.devices import AnyDevice
from db.tables.links import Link
from domain.access.caller import Caller
from domain.devices.config import Config
from domain.devices.device import DeviceView
from resolvers.devices import links
from resolvers.devices import queries as devices
from resolvers.services import Desk


class Context:
    """`own`: the device whose token the caller's is, as it was when the request came; None where
    that is not known, or too long ago.
    """

    def __init__(self, desk: Desk, caller: Caller, own: DeviceView | None = None) -> None:
        self.desk = desk
        self.caller = caller
        self.own = own

    # Without a cache: a subscription's context lives long.

    @cached_property
    def past_configs(self) -> DataLoader[tuple[str, int], Config | None]:
        async def load(versions: list[tuple[str, int]]) -> list[Config | None]:
            return await devices.past_configs(self.desk, versions)

        return DataLoader(load_fn=load, cache=False)

    @cached_property
    def config_histories(self) -> DataLoader[tuple[AnyDevice, int], list[Config]]:
        async def load(wanted: list[tuple[AnyDevice, int]]) -> list[list[Config]]:
            return await devices.config_histories(self.desk, wanted)

        return DataLoader(load_fn=load, cache=False)

    @cached_property
    def links(self) -> DataLoader[str, list[Link]]:
        async def load(ids: list[str]) -> list[list[Link]]:
            found = await links.links_of(self.desk, ids)
            return [found[id] for id in ids]

        return DataLoader(load_fn=load, cache=False)


RollcallInfo = Info[Context, None]
