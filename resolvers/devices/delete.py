"""Devices that go for good."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.devices import links
from db.events.record import record
from db.mqtt import former_topics as topics
from db.tables.devices import DeletedDevice, Device
from domain.access.caller import Action, Caller
from domain.devices.facts import registered_facts
from domain.events.kinds import EventKind
from resolvers.devices.links import unlink_all
from resolvers.devices.lookup import existing
from resolvers.services import Desk


async def delete_device(desk: Desk, caller: Caller, id: str) -> Device:
    """Its tokens go with it; its config versions are not used again should it come back."""
    caller.require(Action.CHANGE_DEVICE)
    async with desk.database.begin() as session:
        await links.hold(session)
        device = await existing(session, caller, id)
        await remove_device(session, caller, device)
        return device


async def remove_device(
    session: AsyncSession, caller: Caller, device: Device, after: dict[str, Any] | None = None
) -> None:
    """Its links go with it. `after`: what the log has as what is there instead."""
    before = registered_facts(device)
    await unlink_all(session, caller, device)
    await topics.abandon(session, device)
    record(session, EventKind.DEVICE_DELETED, caller, device=device, before=before, after=after)
    kept = {
        "config_version": device.config_version,
        "topic": device.topic,
        "deleted_at": datetime.now(UTC),
    }
    tombstone = insert(DeletedDevice).values(device_id=device.id, **kept)
    await session.execute(tombstone.on_conflict_do_update(index_elements=["device_id"], set_=kept))
    await session.delete(device)
