"""Subscriptions to the event log: config changes, and events of all kinds."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from db.devices import queries as device_queries
from db.devices import topic_levels
from db.events import log as event_log
from domain.access.caller import Caller
from domain.access.permissions import Action
from domain.errors import ErrorCode, InputError
from domain.events.inputs import EventSelector
from resolvers.feed.entries import AuditEvent, ConfigChange
from resolvers.feed.subscriber import SubscriptionFilter
from resolvers.services import Services


async def authorize_filter(
    services: Services, caller: Caller, selector: EventSelector
) -> SubscriptionFilter:
    """Return the filter for the devices that the caller can see, one of them, or one owner's.

    Raises InputError if the device or owner does not exist, or the caller can't see it.
    """
    device_id, owner = selector.device_id, selector.owner
    caller.require(Action.READ_DEVICE if caller.device_id or device_id else Action.READ_FLEET)
    owner_id = caller.owner_id
    if device_id is not None or owner is not None:
        async with services.database.transaction() as session:
            if device_id is not None:
                device = await device_queries.find(session, caller.scope, device_id.lower())
                if device is None:
                    raise InputError.at("deviceId", "There is no such device.", ErrorCode.NOT_FOUND)
                device_id = device.id
            if owner is not None:
                found = await topic_levels.find_owner(session, owner)
                if found is None or caller.owner_id not in (None, found.id):
                    raise InputError.at("owner", "There is no such owner.", ErrorCode.NOT_FOUND)
                owner_id = found.id
    kinds = None if selector.kinds is None else frozenset(selector.kinds)
    administration = caller.may(Action.READ_ADMINISTRATION)
    return SubscriptionFilter(device_id or caller.device_id, owner_id, kinds, administration)


async def subscribe_config_changes(
    services: Services, caller: Caller, selector: EventSelector, after: str | None
) -> AsyncGenerator[ConfigChange]:
    """Yield config changes of the devices that the caller can see, one of them, or one owner's.

    Raises InputError if the device, owner or cursor does not exist, or the caller can't see it;
    SlowConsumer if the subscription ends here and can be resumed.
    """
    filter = await authorize_filter(services, caller, selector)
    async with aclosing(services.feeds.changes.subscribe(filter, after)) as changes:
        async for change in changes:
            device = change.device
            if device and caller.owner_id not in (None, device.owner_id):
                yield replace(change, device=None, responses={})
            else:
                yield change


async def subscribe_events(
    services: Services, caller: Caller, selector: EventSelector, after: str | None
) -> AsyncGenerator[AuditEvent]:
    """Like `subscribe_config_changes`, for events of any kind. Device tokens may not use it."""
    caller.require(Action.READ_FLEET)
    filter = await authorize_filter(services, caller, selector)
    async with aclosing(services.feeds.events.subscribe(filter, after)) as events:
        async for event in events:
            yield event.visible_to(caller)


async def latest_cursor(services: Services, caller: Caller) -> str:
    """Return the cursor of the last event. Data that is read after this call is not older."""
    caller.require(Action.READ_DEVICE)
    async with services.database.transaction() as session:
        return str((await event_log.last_readable(session))[1])
