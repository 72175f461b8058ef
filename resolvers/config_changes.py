"""`configChanged`: every change of a config, as it happens and as it happened."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from db import devices, event_log, levels
from domain.access import Action, Caller
from domain.errors import ErrorCode, InputError
from resolvers.config_feed import ConfigChange
from resolvers.desk import Desk
from resolvers.feed import Selection


async def config_changes(
    desk: Desk, caller: Caller, device_id: str | None, owner: str | None, after: str | None
) -> AsyncGenerator[ConfigChange]:
    """Of the devices that the caller can see, or of one of them, or of one owner's.

    Raises InputError where there is no such device, owner or cursor, or none for this caller;
    CutOff where it can't be followed on here.
    """
    caller.require(Action.READ_DEVICE if caller.device_id or device_id else Action.READ_FLEET)
    owner_id, device_id = await _chosen(desk, caller, device_id, owner)
    selection = Selection(device_id, owner_id)
    async with aclosing(desk.config_feed.subscribe(selection, after)) as changes:
        async for change in changes:
            device = change.device
            if device and caller.owner_id not in (None, device.owner_id):
                yield replace(change, device=None)
            else:
                yield change


async def latest_cursor(desk: Desk, caller: Caller) -> str:
    """Where the log ends now; what is read after this is not older than it."""
    caller.require(Action.READ_DEVICE)
    async with desk.database.begin() as session:
        return str((await event_log.settled(session))[1])


async def _chosen(
    desk: Desk, caller: Caller, device_id: str | None, owner: str | None
) -> tuple[int | None, str | None]:
    owner_id = caller.owner_id
    if device_id is None and owner is None:
        return owner_id, caller.device_id
    async with desk.database.begin() as session:
        if device_id is not None:
            device = await devices.find(session, caller.scope, device_id.lower())
            if device is None:
                raise InputError.at("deviceId", "There is no such device.", ErrorCode.NOT_FOUND)
            device_id = device.id
        if owner is not None:
            named = await levels.find_owner(session, owner)
            if named is None or caller.owner_id not in (None, named.id):
                raise InputError.at("owner", "There is no such owner.", ErrorCode.NOT_FOUND)
            owner_id = named.id
    return owner_id, device_id or caller.device_id
