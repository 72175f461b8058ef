"""Links: who hears whom. Every change of what a device hears is a new version of its config."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from db.devices import links
from db.devices import queries as devices
from db.devices import topic_levels as levels
from db.events.record import link_facts, record
from db.paging import Rows, number_of
from db.tables.devices import AnyDevice, Device, MeasurementType, Place
from db.tables.links import Link
from domain.access.caller import Action, Caller, Scope
from domain.devices.inputs import NewLink
from domain.errors import ErrorCode, InputError
from domain.events.kinds import EventKind
from domain.inputs import Page
from domain.mqtt.topics import LONGEST_BASE, shortest
from domain.names import name_key
from resolvers.devices.config import next_config
from resolvers.devices.lookup import existing
from resolvers.services import Desk

# A device takes messages of 2 KB, and the config of one that moves has 250 bytes without filters.
MAX_LISTEN_BYTES = 1_500

Selector = tuple[Place | None, MeasurementType | None, Device | None]


async def link_device(desk: Desk, caller: Caller, listener_id: str, wanted: NewLink) -> Link:
    """Names that the owner has none of yet are made: devices of theirs are heard once they come.

    A link that is there already is answered as it is.
    """
    caller.require(Action.CHANGE_DEVICE)
    async with desk.database.begin() as session:
        await links.hold(session)
        listener = await existing(session, caller, listener_id, "listenerId")
        _check_owner(listener, wanted)
        place, measurement_type, source = await _selected(session, listener, wanted)
        link = await links.same(session, listener, place, measurement_type, source)
        if link is None:
            link = Link(
                listener=listener,
                owner=listener.owner,
                place=place,
                measurement_type=measurement_type,
                source=source,
                created_at=datetime.now(UTC),
                created_by=caller.actor,
            )
            session.add(link)
            await session.flush()
            facts = link_facts(link)
            record(session, EventKind.DEVICE_LINKED, caller, device=listener, after=facts)
            await _check_length(session, listener)
            await relisten(session, caller, [listener])
        return link


async def unlink_device(desk: Desk, caller: Caller, id: str) -> Link:
    caller.require(Action.CHANGE_DEVICE)
    number = number_of(id)
    async with desk.database.begin() as session:
        await links.hold(session)
        link = await links.by_id(session, caller.owner_id, number)
        if link is None:
            raise InputError.at("id", "There is no such link.", ErrorCode.NOT_FOUND)
        listener = await existing(session, caller, link.listener_id)
        await _remove(session, caller, {listener.id: listener}, {listener.id: [link]})
        await relisten(session, caller, [listener])
        return link


async def relisten(session: AsyncSession, caller: Caller, listeners: Collection[Device]) -> None:
    """Makes out anew what devices hear; those that hear something else get a new config."""
    found = await links.of_listeners(session, {device.id for device in listeners})
    for device in listeners:
        listen = _filters(found[device.id])
        if listen != device.listen:
            next_config(session, caller, device, listen=listen)


async def heard_by(session: AsyncSession, listener: Device) -> list[str]:
    """The filters of what it hears by its links."""
    return _filters((await links.of_listeners(session, {listener.id}))[listener.id])


async def follow_topic(session: AsyncSession, caller: Caller, source: Device) -> None:
    """A device has a new topic: whoever hears it by its id is told."""
    await session.flush()
    await relisten(session, caller, await _listeners(session, source))


async def unlink_all(session: AsyncSession, caller: Caller, device: Device) -> None:
    """A device leaves its owner: it hears nobody of it, and nobody hears it by its id."""
    listeners = {listener.id: listener for listener in await _listeners(session, device)}
    found = await links.of_listeners(session, {device.id, *listeners})
    gone = {device.id: found[device.id]}
    for id in listeners:
        gone[id] = [link for link in found[id] if link.source_id == device.id]
    await _remove(session, caller, {**listeners, device.id: device}, gone)
    await relisten(session, caller, [d for id, d in listeners.items() if id != device.id])


async def links_of(desk: Desk, ids: Collection[str]) -> dict[str, list[Link]]:
    """The links of devices that the caller has in hand."""
    async with desk.database.begin() as session:
        return await links.of_listeners(session, ids)


async def sources(desk: Desk, caller: Caller, listener: AnyDevice, page: Page) -> Rows[Device]:
    """Whom a device hears now, as far as the caller can see them."""
    async with desk.database.begin() as session:
        return await links.sources(session, caller.scope, listener, page)


async def listeners(desk: Desk, caller: Caller, source: AnyDevice, page: Page) -> Rows[Device]:
    """Who hears a device now, as far as the caller can see them."""
    async with desk.database.begin() as session:
        return await links.listeners(session, caller.scope, source, page)


async def count_sources(desk: Desk, caller: Caller, listener: AnyDevice) -> tuple[int, bool]:
    async with desk.database.begin() as session:
        return await links.count_sources(session, caller.scope, listener)


async def count_listeners(desk: Desk, caller: Caller, source: AnyDevice) -> tuple[int, bool]:
    async with desk.database.begin() as session:
        return await links.count_listeners(session, caller.scope, source)


def _filters(found: Iterable[Link]) -> list[str]:
    return list(shortest(link.filter for link in found))


def _check_owner(listener: Device, wanted: NewLink) -> None:
    if wanted.owner is not None and name_key(wanted.owner) != listener.owner.name_key:
        raise InputError.at(
            "owner",
            f"A link may cross places, never owners: the listener is {listener.owner.name}'s.",
            ErrorCode.NOT_ALLOWED,
        )


async def _selected(session: AsyncSession, listener: Device, wanted: NewLink) -> Selector:
    if wanted.device_id is None:
        owner, place, kind = listener.owner, wanted.place, wanted.measurement_type
        return (
            await levels.place_named(session, owner, place) if place else None,
            await levels.type_named(session, owner, kind) if kind else None,
            None,
        )
    scope = Scope(owner_id=listener.owner_id)
    source = await devices.find(session, scope, wanted.device_id.lower())
    if source is None:
        message = f"{listener.owner.name} has no such device."
        raise InputError.at("deviceId", message, ErrorCode.NOT_FOUND)
    if source.id == listener.id:
        raise InputError.at("deviceId", "A device does not listen to itself: name another one.")
    return None, None, source


async def _check_length(session: AsyncSession, listener: Device) -> None:
    """Of all links, also those that others cover now, and with sources' topics at their longest."""
    found = (await links.of_listeners(session, {listener.id}))[listener.id]
    lengths = [LONGEST_BASE if link.source_id else len(link.filter) for link in found]
    if sum(lengths) > MAX_LISTEN_BYTES:
        raise InputError.at(
            "listenerId",
            f"The filters of this device's links may need more than {MAX_LISTEN_BYTES} bytes, more "
            "than it can hold: link it to places or types rather than to single devices.",
            ErrorCode.CONFLICT,
        )


async def _listeners(session: AsyncSession, source: Device) -> Sequence[Device]:
    ids = await links.listener_ids(session, source.id)
    return await devices.all_for_update(session, ids)


async def _remove(
    session: AsyncSession,
    caller: Caller,
    listeners: Mapping[str, Device],
    gone: Mapping[str, Collection[Link]],
) -> None:
    """`gone`: links, by their listeners' ids."""
    for id, of_one in gone.items():
        for link in of_one:
            facts, listener = link_facts(link), listeners[id]
            record(session, EventKind.DEVICE_UNLINKED, caller, device=listener, before=facts)
    await links.remove(session, Link.id.in_([link.id for some in gone.values() for link in some]))
