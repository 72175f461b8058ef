"""Replacement of a broken device by new hardware."""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from db.devices import links, requests
from db.devices.config_versions import start_new_version
from db.devices.search import words_of
from db.events.record import record_departure, record_event
from db.mqtt import former_topics
from db.tables.devices import DeviceRow
from domain.access.caller import Caller
from domain.access.permissions import Action
from domain.devices.enrolment import DeviceState
from domain.devices.facts import device_facts, registered_facts
from domain.errors import ErrorCode, InputError
from domain.events.kinds import EventKind
from domain.mqtt.topics import base_topic
from resolvers.devices.delete import remove_device
from resolvers.devices.links import filters_for, unlink_all, update_listeners_of
from resolvers.devices.lookup import get_device_for_update
from resolvers.services import Services


async def replace_device(services: Services, caller: Caller, id: str, by_id: str) -> DeviceRow:
    """The new device takes over owner, location, type, config and links; the old one is deleted.

    The new device keeps the values of its hardware (sensor model, firmware). Its earlier links are
    removed.
    """
    caller.require(Action.CHANGE_DEVICE)
    async with services.database.transaction() as session:
        await links.lock_links(session)
        old, new = await _lock_both(session, caller, id, by_id)
        before = device_facts(new)
        await unlink_all(session, caller, new)
        await links.transfer(session, old.id, new.id)
        await _transfer(session, caller, old, new)
        await remove_device(session, caller, old, after={"replacedBy": new.id})
        record_event(
            session,
            EventKind.DEVICE_REPLACED,
            caller,
            device=new,
            before={**before, "id": old.id},
            after=registered_facts(new),
        )
        return new


async def _lock_both(
    session: AsyncSession, caller: Caller, id: str, by_id: str
) -> tuple[DeviceRow, DeviceRow]:
    """Return the old and the new device, locked in the common order: by id."""
    wanted = sorted({(id.lower(), "id"), (by_id.lower(), "byId")})
    found = {
        field: await get_device_for_update(session, caller, device_id, field)
        for device_id, field in wanted
    }
    old, new = found["id"], found["byId"]
    if old.id == new.id:
        raise InputError.at("byId", "A device can't replace itself: give the id of the new device.")
    if new.state != DeviceState.ACTIVE:
        message = "The new device is pending or was rejected: approve it first."
        raise InputError.at("byId", message, ErrorCode.CONFLICT)
    return old, new


async def _transfer(session: AsyncSession, caller: Caller, old: DeviceRow, new: DeviceRow) -> None:
    new_owner = new.owner_id != old.owner_id
    if new_owner:
        record_departure(session, caller, new)
    new.owner, new.place, new.measurement_type = old.owner, old.place, old.measurement_type
    new.owner_id = old.owner_id
    if new_owner:
        await requests.owner_changed(session, new)
    new.latitude, new.longitude = old.latitude, old.longitude
    new.updated_at, new.search = datetime.now(UTC), words_of(new)
    topic = base_topic(old.owner.slug, old.place.slug, old.measurement_type.slug, new.id)
    if topic != new.topic:
        await former_topics.start_move(session, new, topic)
    await session.flush()
    start_new_version(
        session,
        caller,
        new,
        interval_seconds=old.interval_seconds,
        qos=old.qos,
        listen=await filters_for(session, new),
    )
    await update_listeners_of(session, caller, new)
