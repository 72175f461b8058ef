from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

import strawberry

from domain.events.kinds import EventKind
from resolvers.events.subscribe import EventSelector, subscribe_config_changes, subscribe_events
from resolvers.feed.entries import ConfigChange as Change
from schema.context import RollcallInfo
from schema.devices.config import Config
from schema.devices.device import Device
from schema.events.event import Event

LastSeen = Annotated[
    strawberry.ID | None,
    strawberry.argument(
        description="The last cursor that was seen: what came after it comes first. Left out: from "
        "now on."
    ),
]


@strawberry.type(description="A new version of one device's config.")
class ConfigChange:
    of: strawberry.Private[Change]

    @property
    def answers(self) -> dict[Any, Any]:
        return self.of.answers

    @strawberry.field(
        description="Where this stands in the log: `after` for whoever goes on from here."
    )
    def cursor(self) -> strawberry.ID:
        return strawberry.ID(self.of.cursor)

    @strawberry.field(
        description="The device as it is by now; null where it was deleted or went to another "
        "owner since."
    )
    def device(self) -> Device | None:
        return Device(row=self.of.device) if self.of.device else None

    @strawberry.field(description="The config that came into force.")
    def config(self) -> Config:
        return Config.of(self.of.config)

    @strawberry.field(description="The one that it replaced.")
    def previous(self) -> Config:
        return Config.of(self.of.previous)


@strawberry.type(
    description="What can be followed, over WebSocket (graphql-transport-ws) or server-sent events."
)
class Subscription:
    @strawberry.subscription(
        description="Every change of a config, through whichever server it was made, exactly once "
        "and in order. It ends when the token does."
    )
    async def config_changed(
        self,
        info: RollcallInfo,
        device_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only this device's.")
        ] = None,
        owner: Annotated[
            str | None, strawberry.argument(description="Only of this owner's devices.")
        ] = None,
        after: LastSeen = None,
    ) -> AsyncGenerator[ConfigChange]:
        services, caller = info.context.services, info.context.caller
        async with aclosing(
            subscribe_config_changes(services, caller, EventSelector(device_id, owner), after)
        ) as changes:
            async for change in changes:
                yield ConfigChange(of=change)

    @strawberry.subscription(
        description="Every event of the audit log, as `configChanged` tells changes; for people's "
        "tokens."
    )
    async def event_added(
        self,
        info: RollcallInfo,
        device_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only about this device.")
        ] = None,
        owner: Annotated[
            str | None, strawberry.argument(description="Only about this owner's.")
        ] = None,
        kinds: Annotated[
            list[EventKind] | None, strawberry.argument(description="Only of these kinds.")
        ] = None,
        after: LastSeen = None,
    ) -> AsyncGenerator[Event]:
        services, caller = info.context.services, info.context.caller
        asked = EventSelector(device_id, owner, kinds)
        async with aclosing(subscribe_events(services, caller, asked, after)) as events:
            async for event in events:
                yield Event(of=event)
