from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

import strawberry

from domain.events.inputs import EventSelector
from domain.events.kinds import EventKind
from resolvers.events.subscribe import subscribe_config_changes, subscribe_events
from resolvers.feed.entries import ConfigChange as Change
from schema.context import RollcallInfo
from schema.devices.config import Config
from schema.devices.device import Device
from schema.events.event import Event

AfterCursor = Annotated[
    strawberry.ID | None,
    strawberry.argument(
        description="The last cursor that the client received. Events after it are sent first. If "
        "omitted, only new events are sent."
    ),
]


@strawberry.type(description="A new config version of one device.")
class ConfigChange:
    change: strawberry.Private[Change]

    @property
    def responses(self) -> dict[Any, Any]:
        return self.change.responses

    @strawberry.field(
        description="Position of this change in the event log. To resume after it, pass it as "
        "`after`."
    )
    def cursor(self) -> strawberry.ID:
        return strawberry.ID(self.change.cursor)

    @strawberry.field(
        description="The device in its present state; null if it was deleted or got another owner "
        "since."
    )
    def device(self) -> Device | None:
        return Device(row=self.change.device) if self.change.device else None

    @strawberry.field(description="The new desired config.")
    def config(self) -> Config:
        return Config.of(self.change.config)

    @strawberry.field(description="The config that it replaced.")
    def previous(self) -> Config:
        return Config.of(self.change.previous, replaced=True)


@strawberry.type(
    description="Live updates, over WebSocket (graphql-transport-ws) or server-sent events."
)
class Subscription:
    @strawberry.subscription(
        description="Every new config version, exactly once and in order, also if another server "
        "made the change. The subscription ends when the token is revoked or expires."
    )
    async def config_changed(
        self,
        info: RollcallInfo,
        device_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only changes of this device.")
        ] = None,
        owner: Annotated[
            str | None, strawberry.argument(description="Only changes of this owner's devices.")
        ] = None,
        after: AfterCursor = None,
    ) -> AsyncGenerator[ConfigChange]:
        services, caller = info.context.services, info.context.caller
        selector = EventSelector.check({"device_id": device_id, "owner": owner})
        async with aclosing(subscribe_config_changes(services, caller, selector, after)) as changes:
            async for change in changes:
                yield ConfigChange(change=change)

    @strawberry.subscription(
        description="Every new event of the audit log, exactly once and in order. Requires a token "
        "of an administrator or viewer."
    )
    async def event_added(
        self,
        info: RollcallInfo,
        device_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only events about this device.")
        ] = None,
        owner: Annotated[
            str | None, strawberry.argument(description="Only events about this owner.")
        ] = None,
        kinds: Annotated[
            list[EventKind] | None, strawberry.argument(description="Only events of these kinds.")
        ] = None,
        after: AfterCursor = None,
    ) -> AsyncGenerator[Event]:
        services, caller = info.context.services, info.context.caller
        selector = EventSelector.check({"device_id": device_id, "owner": owner, "kinds": kinds})
        async with aclosing(subscribe_events(services, caller, selector, after)) as events:
            async for event in events:
                yield Event(entry=event)
