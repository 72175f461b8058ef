"""Changes of devices, and moves to another owner, place or measurement type."""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from db.devices import links, requests, topic_levels
from db.devices.config_versions import start_new_version
from db.devices.search import words_of
from db.events.record import record_departure, record_event
from db.mqtt import former_topics
from db.tables.devices import DeviceRow
from domain.access.caller import Caller
from domain.access.permissions import Action
from domain.devices.facts import changes, device_facts
from domain.devices.inputs import DeviceChange
from domain.events.kinds import EventKind
from domain.mqtt.topics import base_topic
from resolvers.devices.links import unlink_all, update_listeners_of
from resolvers.devices.lookup import get_device_for_update
from resolvers.devices.topic_levels import owner_for
from resolvers.services import Services


async def update_device(
    services: Services, caller: Caller, id: str, change: DeviceChange
) -> DeviceRow:
    """Change a device. A new owner, place or type gives it a new topic and config version."""
    caller.require(Action.CHANGE_DEVICE)
    async with services.database.transaction() as session:
        if change.owner or change.location or change.measurement_type:
            await links.lock_links(session)
        device = await get_device_for_update(session, caller, id)
        before = device_facts(device)
        await _move(session, caller, device, change)
        if change.sensor_model is not None:
            device.sensor_model = change.sensor_model
        if change.firmware is not None:
            device.firmware = change.firmware
        old_values, new_values = changes(before, device_facts(device))
        if new_values:
            device.updated_at = datetime.now(UTC)
            device.search = words_of(device)
            record_event(
                session,
                EventKind.DEVICE_UPDATED,
                caller,
                device=device,
                before=old_values,
                after=new_values,
            )
        return device


async def _move(
    session: AsyncSession, caller: Caller, device: DeviceRow, change: DeviceChange
) -> None:
    owner = device.owner
    if change.owner is not None:
        owner = await owner_for(session, caller, change.owner)
    levels = await topic_levels.get_or_create_levels(
        session,
        owner,
        change.location.place if change.location else device.place.name,
        change.measurement_type or device.measurement_type.name,
    )
    new_owner = owner.id != device.owner_id
    if new_owner:
        await unlink_all(session, caller, device)
        record_departure(session, caller, device)
        device.listen = []
    device.owner, device.place, device.measurement_type = (
        owner,
        levels.place,
        levels.measurement_type,
    )
    device.owner_id = owner.id
    if new_owner:
        await requests.owner_changed(session, device)
    if change.location is not None:
        device.latitude = change.location.latitude
        device.longitude = change.location.longitude
    topic = base_topic(owner.slug, levels.place.slug, levels.measurement_type.slug, device.id)
    if topic != device.topic:
        await former_topics.start_move(session, device, topic)
        start_new_version(session, caller, device)
        await update_listeners_of(session, caller, device)
