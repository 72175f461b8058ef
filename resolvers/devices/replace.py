"""New hardware in the place of a device that is broken."""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from db.devices import links
from db.devices.search import words_of
from db.events.record import record
from db.mqtt import former_topics as topics
from db.tables.devices import Device
from domain.access.caller import Action, Caller
from domain.devices.enrolment import DeviceState
from domain.devices.facts import device_facts, registered_facts
from domain.errors import ErrorCode, InputError
from domain.events.kinds import EventKind
from domain.mqtt.topics import base_topic
from resolvers.devices.config import next_config
from resolvers.devices.delete import remove_device
from resolvers.devices.links import follow_topic, heard_by, unlink_all
from resolvers.devices.lookup import existing
from resolvers.services import Desk


async def replace_device(desk: Desk, caller: Caller, id: str, by_id: str) -> Device:
    """The new device takes over owner, location, type, config and links; the old one is deleted.

    What the hardware itself knows (sensor model, firmware) is its own. Links that the new device
    had are removed.
    """
    caller.require(Action.CHANGE_DEVICE)
    async with desk.database.begin() as session:
        await links.hold(session)
        old, new = await _both(session, caller, id, by_id)
        before = device_facts(new)
        await unlink_all(session, caller, new)
        await links.take_over(session, old.id, new.id)
        await _settle_in(session, caller, old, new)
        await remove_device(session, caller, old, after={"replacedBy": new.id})
        record(
            session,
            EventKind.DEVICE_REPLACED,
            caller,
            device=new,
            before={**before, "id": old.id},
            after=registered_facts(new),
        )
        return new


async def _both(
    session: AsyncSession, caller: Caller, id: str, by_id: str
) -> tuple[Device, Device]:
    """In the order in which everybody locks devices."""
    wanted = sorted({(id.lower(), "id"), (by_id.lower(), "byId")})
    found = {field: await existing(session, caller, one, field) for one, field in wanted}
    old, new = found["id"], found["byId"]
    if old.id == new.id:
        raise InputError.at("byId", "A device does not replace itself: name the new one.")
    if new.state != DeviceState.ACTIVE:
        message = "The new device waits for approval, or was rejected: approve it first."
        raise InputError.at("byId", message, ErrorCode.CONFLICT)
    return old, new


async def _settle_in(session: AsyncSession, caller: Caller, old: Device, new: Device) -> None:
    new.owner, new.place, new.measurement_type = old.owner, old.place, old.measurement_type
    new.owner_id = old.owner_id
    new.latitude, new.longitude = old.latitude, old.longitude
    new.updated_at, new.search = datetime.now(UTC), words_of(new)
    topic = base_topic(old.owner.slug, old.place.slug, old.measurement_type.slug, new.id)
    if topic != new.topic:
        await topics.leave(session, new, topic)
    await session.flush()
    next_config(
        session,
        caller,
        new,
        interval_seconds=old.interval_seconds,
        qos=old.qos,
        listen=await heard_by(session, new),
    )
    await follow_topic(session, caller, new)
