"""Links: who hears whom. Every change of what a device hears is a new version of its config."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from db.devices import links, topic_levels
from db.devices import queries as device_queries
from db.events.record import link_facts, record_event
from db.paging import Slice, number_of
from db.tables.devices import AnyDevice, DeviceRow, MeasurementTypeRow, PlaceRow
from db.tables.links import LinkRow
from domain.access.caller import Action, Caller, Scope
from domain.devices.inputs import NewLink
from domain.errors import ErrorCode, InputError
from domain.events.kinds import EventKind
from domain.inputs import Page
from domain.mqtt.topics import LONGEST_BASE, minimal_filters
from domain.names import name_key
from resolvers.devices.config import start_new_version
from resolvers.devices.lookup import get_device_for_update
from resolvers.services import Services

# A device takes messages of 2 KB, and the config of one that moves has 250 bytes without filters.
MAX_LISTEN_BYTES = 1_500

Selector = tuple[PlaceRow | None, MeasurementTypeRow | None, DeviceRow | None]


async def link_device(
    services: Services, caller: Caller, listener_id: str, wanted: NewLink
) -> LinkRow:
    """Names that the owner has none of yet are made: devices of theirs are heard once they come.

    A link that is there already is answered as it is.
    """
    caller.require(Action.CHANGE_DEVICE)
    async with services.database.transaction() as session:
        await links.lock_links(session)
        listener = await get_device_for_update(session, caller, listener_id, "listenerId")
        _check_owner(listener, wanted)
        place, measurement_type, source = await _selected(session, listener, wanted)
        link = await links.same(session, listener, place, measurement_type, source)
        if link is None:
            link = LinkRow(
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
            record_event(session, EventKind.DEVICE_LINKED, caller, device=listener, after=facts)
            await _check_length(session, listener)
            await update_subscriptions(session, caller, [listener])
        return link


async def unlink_device(services: Services, caller: Caller, id: str) -> LinkRow:
    caller.require(Action.CHANGE_DEVICE)
    number = number_of(id)
    async with services.database.transaction() as session:
        await links.lock_links(session)
        link = await links.by_id(session, caller.owner_id, number)
        if link is None:
            raise InputError.at("id", "There is no such link.", ErrorCode.NOT_FOUND)
        listener = await get_device_for_update(session, caller, link.listener_id)
        await _remove(session, caller, {listener.id: listener}, {listener.id: [link]})
        await update_subscriptions(session, caller, [listener])
        return link


async def update_subscriptions(
    session: AsyncSession, caller: Caller, listeners: Collection[DeviceRow]
) -> None:
    """Makes out anew what devices hear; those that hear something else get a new config."""
    found = await links.of_listeners(session, {device.id for device in listeners})
    for device in listeners:
        listen = _filters(found[device.id])
        if listen != device.listen:
            start_new_version(session, caller, device, listen=listen)


async def filters_for(session: AsyncSession, listener: DeviceRow) -> list[str]:
    """The filters of what it hears by its links."""
    return _filters((await links.of_listeners(session, {listener.id}))[listener.id])


async def update_listeners_of(session: AsyncSession, caller: Caller, source: DeviceRow) -> None:
    """A device has a new topic: whoever hears it by its id is told."""
    await session.flush()
    await update_subscriptions(session, caller, await _listeners(session, source))


async def unlink_all(session: AsyncSession, caller: Caller, device: DeviceRow) -> None:
    """A device leaves its owner: it hears nobody of it, and nobody hears it by its id."""
    listeners = {listener.id: listener for listener in await _listeners(session, device)}
    found = await links.of_listeners(session, {device.id, *listeners})
    gone = {device.id: found[device.id]}
    for id in listeners:
        gone[id] = [link for link in found[id] if link.source_id == device.id]
    await _remove(session, caller, {**listeners, device.id: device}, gone)
    await update_subscriptions(
        session, caller, [d for id, d in listeners.items() if id != device.id]
    )


async def links_of(services: Services, ids: Collection[str]) -> dict[str, list[LinkRow]]:
    """The links of devices that the caller has in hand."""
    async with services.database.transaction() as session:
        return await links.of_listeners(session, ids)


async def sources(
    services: Services, caller: Caller, listener: AnyDevice, page: Page
) -> Slice[DeviceRow]:
    """Whom a device hears now, as far as the caller can see them."""
    async with services.database.transaction() as session:
        return await links.sources(session, caller.scope, listener, page)


async def listeners(
    services: Services, caller: Caller, source: AnyDevice, page: Page
) -> Slice[DeviceRow]:
    """Who hears a device now, as far as the caller can see them."""
    async with services.database.transaction() as session:
        return await links.listeners(session, caller.scope, source, page)


async def count_sources(
    services: Services, caller: Caller, listener: AnyDevice
) -> tuple[int, bool]:
    async with services.database.transaction() as session:
        return await links.count_sources(session, caller.scope, listener)


async def count_listeners(
    services: Services, caller: Caller, source: AnyDevice
) -> tuple[int, bool]:
    async with services.database.transaction() as session:
        return await links.count_listeners(session, caller.scope, source)


def _filters(found: Iterable[LinkRow]) -> list[str]:
    return list(minimal_filters(link.filter for link in found))


def _check_owner(listener: DeviceRow, wanted: NewLink) -> None:
    if wanted.owner is not None and name_key(wanted.owner) != listener.owner.name_key:
        raise InputError.at(
            "owner",
            f"A link may cross places, never owners: the listener is {listener.owner.name}'s.",
            ErrorCode.NOT_ALLOWED,
        )


async def _selected(session: AsyncSession, listener: DeviceRow, wanted: NewLink) -> Selector:
    if wanted.device_id is None:
        owner, place, kind = listener.owner, wanted.place, wanted.measurement_type
        return (
            await topic_levels.get_or_create_place(session, owner, place) if place else None,
            await topic_levels.get_or_create_type(session, owner, kind) if kind else None,
            None,
        )
    scope = Scope(owner_id=listener.owner_id)
    source = await device_queries.find(session, scope, wanted.device_id.lower())
    if source is None:
        message = f"{listener.owner.name} has no such device."
        raise InputError.at("deviceId", message, ErrorCode.NOT_FOUND)
    if source.id == listener.id:
        raise InputError.at("deviceId", "A device does not listen to itself: name another one.")
    return None, None, source


async def _check_length(session: AsyncSession, listener: DeviceRow) -> None:
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


async def _listeners(session: AsyncSession, source: DeviceRow) -> Sequence[DeviceRow]:
    ids = await links.listener_ids(session, source.id)
    return await device_queries.all_for_update(session, ids)


async def _remove(
    session: AsyncSession,
    caller: Caller,
    listeners: Mapping[str, DeviceRow],
    gone: Mapping[str, Collection[LinkRow]],
) -> None:
    """`gone`: links, by their listeners' ids."""
    for id, of_one in gone.items():
        for link in of_one:
            facts, listener = link_facts(link), listeners[id]
            record_event(session, EventKind.DEVICE_UNLINKED, caller, device=listener, before=facts)
    await links.remove(
        session, LinkRow.id.in_([link.id for some in gone.values() for link in some])
    )
