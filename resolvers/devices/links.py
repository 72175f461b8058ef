"""Links from listeners to sources.

Every change of a listener's filters is a new version of its config.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from db.devices import links, topic_levels
from db.devices import queries as device_queries
from db.devices.config_versions import start_new_version
from db.events.record import link_facts, record_event
from db.paging import Slice, number_of
from db.tables.devices import AnyDevice, DeviceRow, MeasurementTypeRow, PlaceRow
from db.tables.links import LinkRow
from domain.access.caller import Caller, Scope
from domain.access.permissions import Action
from domain.devices.inputs import NewLink
from domain.errors import ErrorCode, InputError
from domain.events.kinds import EventKind
from domain.inputs import Page
from domain.mqtt.topics import MAX_BASE_TOPIC_BYTES, minimal_filters
from domain.names import name_key
from resolvers.devices.lookup import get_device_for_update
from resolvers.services import Services

# Bytes. Devices accept messages of 2 KB; the config of a moving one has 250 without filters.
MAX_LISTEN_BYTES = 1_500

Selector = tuple[PlaceRow | None, MeasurementTypeRow | None, DeviceRow | None]


async def link_device(
    services: Services, caller: Caller, listener_id: str, wanted: NewLink
) -> LinkRow:
    """Create a link. A link that exists already is returned unchanged.

    Unknown places and types are created, so that later devices there become sources.
    """
    caller.require(Action.CHANGE_DEVICE)
    async with services.database.transaction() as session:
        await links.lock_links(session)
        listener = await get_device_for_update(session, caller, listener_id, "listenerId")
        _check_owner(listener, wanted)
        place, measurement_type, source = await _resolve_selector(session, listener, wanted)
        link = await links.find_same(session, listener, place, measurement_type, source)
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
    """Compute the filters of listeners again. Each changed one gets a new config version."""
    found = await links.of_listeners(session, {device.id for device in listeners})
    for device in listeners:
        listen = _filters(found[device.id])
        if listen != device.listen:
            start_new_version(session, caller, device, listen=listen)


async def filters_for(session: AsyncSession, listener: DeviceRow) -> list[str]:
    """Return the filters of a listener's links."""
    return _filters((await links.of_listeners(session, {listener.id}))[listener.id])


async def update_listeners_of(session: AsyncSession, caller: Caller, source: DeviceRow) -> None:
    """Update the listeners that are linked to a device by its id: it has a new topic."""
    await session.flush()
    await update_subscriptions(session, caller, await _listeners(session, source))


async def unlink_all(session: AsyncSession, caller: Caller, device: DeviceRow) -> None:
    """Remove the links of a device that leaves its owner: its own, and those to it by its id."""
    listeners = {listener.id: listener for listener in await _listeners(session, device)}
    found = await links.of_listeners(session, {device.id, *listeners})
    removed = {device.id: found[device.id]}
    for id in listeners:
        removed[id] = [link for link in found[id] if link.source_id == device.id]
    await _remove(session, caller, {**listeners, device.id: device}, removed)
    await update_subscriptions(
        session, caller, [d for id, d in listeners.items() if id != device.id]
    )


async def links_of(services: Services, ids: Collection[str]) -> dict[str, list[LinkRow]]:
    """Return the links of devices, by id. Has no access check: the caller has read the devices."""
    async with services.database.transaction() as session:
        return await links.of_listeners(session, ids)


async def sources(
    services: Services, caller: Caller, listener: AnyDevice, page: Page
) -> Slice[DeviceRow]:
    """Return the current sources of a device that the caller can see."""
    async with services.database.transaction() as session:
        return await links.sources(session, caller.scope, listener, page)


async def listeners(
    services: Services, caller: Caller, source: AnyDevice, page: Page
) -> Slice[DeviceRow]:
    """Return the current listeners of a device that the caller can see."""
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
            f"A link can't cross owners: give {listener.owner.name}, the listener's owner.",
            ErrorCode.NOT_ALLOWED,
        )


async def _resolve_selector(
    session: AsyncSession, listener: DeviceRow, wanted: NewLink
) -> Selector:
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
        message = f"{listener.owner.name} has no such device: give an id of its devices."
        raise InputError.at("deviceId", message, ErrorCode.NOT_FOUND)
    if source.id == listener.id:
        raise InputError.at("deviceId", "A device can't listen to itself: give another device.")
    return None, None, source


async def _check_length(session: AsyncSession, listener: DeviceRow) -> None:
    """Raises InputError if the filters may become too long for the listener.

    Counts all links, also those that others cover, and the maximum length of the sources' topics.
    """
    found = (await links.of_listeners(session, {listener.id}))[listener.id]
    lengths = [MAX_BASE_TOPIC_BYTES if link.source_id else len(link.filter) for link in found]
    if sum(lengths) > MAX_LISTEN_BYTES:
        raise InputError.at(
            "listenerId",
            f"The filters of this device's links may need more than {MAX_LISTEN_BYTES} bytes, its "
            "limit: link it to places or types instead of single devices.",
            ErrorCode.CONFLICT,
        )


async def _listeners(session: AsyncSession, source: DeviceRow) -> Sequence[DeviceRow]:
    ids = await links.listener_ids(session, source.id)
    return await device_queries.all_for_update(session, ids)


async def _remove(
    session: AsyncSession,
    caller: Caller,
    listeners: Mapping[str, DeviceRow],
    removed: Mapping[str, Collection[LinkRow]],
) -> None:
    """`removed`: links by the ids of their listeners."""
    for id, of_listener in removed.items():
        for link in of_listener:
            facts, listener = link_facts(link), listeners[id]
            record_event(session, EventKind.DEVICE_UNLINKED, caller, device=listener, before=facts)
    await links.remove(
        session,
        LinkRow.id.in_([link.id for of_listener in removed.values() for link in of_listener]),
    )
