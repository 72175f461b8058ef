"""`configChanged`: every change of a config, as it happens and as it happened."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from db.events import log as event_log
from domain.access.caller import Action, Caller
from resolvers.events.selection import Asked, selected
from resolvers.feed.config_feed import ConfigChange
from resolvers.services import Desk


async def config_changes(
    desk: Desk, caller: Caller, asked: Asked, after: str | None
) -> AsyncGenerator[ConfigChange]:
    """Of the devices that the caller can see, or of one of them, or of one owner's.

    Raises InputError where there is no such device, owner or cursor, or none for this caller;
    CutOff where it can't be followed on here.
    """
    selection = await selected(desk, caller, asked)
    async with aclosing(desk.feeds.changes.subscribe(selection, after)) as changes:
        async for change in changes:
            device = change.device
            if device and caller.owner_id not in (None, device.owner_id):
                yield replace(change, device=None, answers={})
            else:
                yield change


async def latest_cursor(desk: Desk, caller: Caller) -> str:
    """Where the log ends now; what is read after this is not older than it."""
    caller.require(Action.READ_DEVICE)
    async with desk.database.begin() as session:
        return str((await event_log.settled(session))[1])
