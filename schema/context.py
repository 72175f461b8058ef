"""What a request's resolvers can reach."""

from dataclasses import dataclass, field

from strawberry.dataloader import DataLoader
from strawberry.types import Info

from domain.access import Caller
from domain.config import Config
from resolvers import devices
from resolvers.desk import Desk


@dataclass
class Context:
    desk: Desk
    caller: Caller
    past_configs: DataLoader[tuple[str, int], Config | None] = field(init=False)

    def __post_init__(self) -> None:
        async def load(versions: list[tuple[str, int]]) -> list[Config | None]:
            return await devices.past_configs(self.desk, versions)

        # Without a cache: a subscription's context lives long.
        self.past_configs = DataLoader(load_fn=load, cache=False)


RollcallInfo = Info[Context, None]
