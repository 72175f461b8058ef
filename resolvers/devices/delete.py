"""Deletion of devices."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.devices import links
from db.events.record import record_event
from db.mqtt import former_topics
from db.tables.devices import DeletedDeviceRow, DeviceRow
from domain.access.caller import Caller
from domain.access.permissions import Action
from domain.devices.facts import registered_facts
from domain.events.kinds import EventKind
from resolvers.devices.links import unlink_all
from resolvers.devices.lookup import get_device_for_update
from resolvers.services import Services


async def delete_device(services: Services, caller: Caller, id: str) -> DeviceRow:
    """Delete a device with its tokens.

    Its last config version is stored, so that versions are not reused if it registers again.
    """
    caller.require(Action.CHANGE_DEVICE)
    async with services.database.transaction() as session:
        await links.lock_links(session)
        device = await get_device_for_update(session, caller, id)
        await remove_device(session, caller, device)
        return device


async def remove_device(
    session: AsyncSession, caller: Caller, device: DeviceRow, after: dict[str, Any] | None = None
) -> None:
    """Delete a device with its links. `after`: facts for the event about its replacement."""
    before = registered_facts(device)
    await unlink_all(session, caller, device)
    await former_topics.clear_all(session, device)
    record_event(
        session, EventKind.DEVICE_DELETED, caller, device=device, before=before, after=after
    )
    tombstone_values = {
        "config_version": device.config_version,
        "topic": device.topic,
        "deleted_at": datetime.now(UTC),
    }
    tombstone = insert(DeletedDeviceRow).values(device_id=device.id, **tombstone_values)
    await session.execute(
        tombstone.on_conflict_do_update(index_elements=["device_id"], set_=tombstone_values)
    )
    await session.delete(device)
