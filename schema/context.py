"""What a request's resolvers can reach."""

from dataclasses import dataclass, field

from strawberry.dataloader import DataLoader
from strawberry.types import Info

from db.tables import Device, Link
from domain.access import Caller
from domain.config import Config
from resolvers import devices, links
from resolvers.desk import Desk


@dataclass
class Context:
    desk: Desk
    caller: Caller
    past_configs: DataLoader[tuple[str, int], Config | None] = field(init=False)
    config_histories: DataLoader[tuple[Device, int], list[Config]] = field(init=False)
    links: DataLoader[str, list[Link]] = field(init=False)

    def __post_init__(self) -> None:
        async def load(versions: list[tuple[str, int]]) -> list[Config | None]:
            return await devices.past_configs(self.desk, versions)

        async def load_histories(wanted: list[tuple[Device, int]]) -> list[list[Config]]:
            return await devices.config_histories(self.desk, wanted)

        async def load_links(ids: list[str]) -> list[list[Link]]:
            found = await links.links_of(self.desk, ids)
            return [found[id] for id in ids]

        # Without a cache: a subscription's context lives long.
        self.past_configs = DataLoader(load_fn=load, cache=False)
        self.config_histories = DataLoader(load_fn=load_histories, cache=False)
        self.links = DataLoader(load_fn=load_links, cache=False)


RollcallInfo = Info[Context, None]
