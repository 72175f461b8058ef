"""Which events somebody may follow, of those that were asked for."""

from collections.abc import Collection
from dataclasses import dataclass

from db.devices import queries as devices
from db.devices import topic_levels as levels
from domain.access.caller import Action, Caller
from domain.errors import ErrorCode, InputError
from domain.events.kinds import EventKind
from resolvers.feed.feed import Selection
from resolvers.services import Desk


@dataclass(frozen=True, slots=True)
class Asked:
    """In the words of whoever asks; None: any."""

    device_id: str | None = None
    owner: str | None = None
    kinds: Collection[EventKind] | None = None


async def selected(desk: Desk, caller: Caller, asked: Asked) -> Selection:
    """Of the devices that the caller can see, or of one of them, or of one owner's.

    Raises InputError where there is no such device or owner, or none for this caller.
    """
    device_id, owner = asked.device_id, asked.owner
    caller.require(Action.READ_DEVICE if caller.device_id or device_id else Action.READ_FLEET)
    owner_id = caller.owner_id
    if device_id is not None or owner is not None:
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
    kinds = None if asked.kinds is None else frozenset(asked.kinds)
    return Selection(device_id or caller.device_id, owner_id, kinds)
