"""Subscriptions to the log: config changes, and events of all kinds."""

from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from dataclasses import dataclass, replace

from db.devices import queries as device_queries
from db.devices import topic_levels
from db.events import log as event_log
from domain.access.caller import Action, Caller
from domain.errors import ErrorCode, InputError
from domain.events.kinds import EventKind
from resolvers.feed.entries import AuditEvent, ConfigChange
from resolvers.feed.subscriber import Selection
from resolvers.services import Services


@dataclass(frozen=True, slots=True)
class EventSelector:
    """In the words of whoever asks; None: any."""

    device_id: str | None = None
    owner: str | None = None
    kinds: Collection[EventKind] | None = None


async def authorize_selection(
    services: Services, caller: Caller, asked: EventSelector
) -> Selection:
    """Of the devices that the caller can see, or of one of them, or of one owner's.

    Raises InputError where there is no such device or owner, or none for this caller.
    """
    device_id, owner = asked.device_id, asked.owner
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
                named = await topic_levels.find_owner(session, owner)
                if named is None or caller.owner_id not in (None, named.id):
                    raise InputError.at("owner", "There is no such owner.", ErrorCode.NOT_FOUND)
                owner_id = named.id
    kinds = None if asked.kinds is None else frozenset(asked.kinds)
    return Selection(device_id or caller.device_id, owner_id, kinds)


async def subscribe_config_changes(
    services: Services, caller: Caller, asked: EventSelector, after: str | None
) -> AsyncGenerator[ConfigChange]:
    """Of the devices that the caller can see, or of one of them, or of one owner's.

    Raises InputError where there is no such device, owner or cursor, or none for this caller;
    SlowConsumer where it can't be followed on here.
    """
    selection = await authorize_selection(services, caller, asked)
    async with aclosing(services.feeds.changes.subscribe(selection, after)) as changes:
        async for change in changes:
            device = change.device
            if device and caller.owner_id not in (None, device.owner_id):
                yield replace(change, device=None, answers={})
            else:
                yield change


async def subscribe_events(
    services: Services, caller: Caller, asked: EventSelector, after: str | None
) -> AsyncGenerator[AuditEvent]:
    """As `subscribe_config_changes`, for events of any kind; not for devices."""
    caller.require(Action.READ_FLEET)
    selection = await authorize_selection(services, caller, asked)
    async with aclosing(services.feeds.events.subscribe(selection, after)) as events:
        async for event in events:
            yield event.seen_by(caller)


async def latest_cursor(services: Services, caller: Caller) -> str:
    """Where the log ends now; what is read after this is not older than it."""
    caller.require(Action.READ_DEVICE)
    async with services.database.transaction() as session:
        return str((await event_log.last_readable(session))[1])
