"""The context of one GraphQL request, for its resolvers."""

from collections.abc import Sequence
from functools import cached_property

from strawberry.dataloader import DataLoader
from strawberry.types import Info

from db.devices.requests import OpenEnrolment
from db.tables.devices import AnyDevice
from db.tables.links import LinkRow
from domain.access.caller import Caller
from domain.devices.config import Config
from domain.devices.device import DeviceRecord
from resolvers.devices import links, requests
from resolvers.devices import queries as device_queries
from resolvers.services import Services


class Context:
    """`caller_device`: the device that the caller's token belongs to, as read for this request.
    None if the caller is not a device, or no recent record of it is available.
    """

    def __init__(
        self, services: Services, caller: Caller, caller_device: DeviceRecord | None = None
    ) -> None:
        self.services = services
        self.caller = caller
        self.caller_device = caller_device

    # cache=False: the context of a subscription lives as long as the subscription.

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

    @cached_property
    def enrolment_requests(self) -> DataLoader[str, Sequence[OpenEnrolment]]:
        async def load(ids: list[str]) -> list[Sequence[OpenEnrolment]]:
            found = await requests.requests_for(self.services, self.caller, ids)
            return [found[id] for id in ids]

        return DataLoader(load_fn=load, cache=False)


RollcallInfo = Info[Context, None]
