"""The row of a device that nobody knew before."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from db.access import tokens
from db.devices import queries as devices
from db.devices import topic_levels as levels
from db.devices.search import words_of
from db.mqtt import former_topics as topics
from db.tables.devices import Device, Owner
from domain.access.caller import Caller
from domain.access.tokens import TokenKind
from domain.devices.config import DEFAULT_INTERVAL_SECONDS, DEFAULT_QOS
from domain.devices.enrolment import DeviceState
from domain.devices.identity import device_id
from domain.devices.inputs import Registration
from domain.errors import ErrorCode, InputError
from domain.mqtt.topics import base_topic
from domain.names import name_key


async def add_device(
    session: AsyncSession, caller: Caller, wanted: Registration, state: DeviceState
) -> Device:
    """Raises InputError where the caller may not register for this owner, or no more devices."""
    owner = await owner_for(session, caller, wanted.owner)
    at = await levels.levels_named(session, owner, wanted.location.place, wanted.measurement_type)
    id = device_id(wanted.mac)
    device = Device(
        **first_values(caller, wanted, state),
        owner=owner,
        place=at.place,
        measurement_type=at.measurement_type,
        topic=base_topic(owner.slug, at.place.slug, at.measurement_type.slug, id),
        reenrolment_refused=False,
        config_version=await devices.next_version(session, id),
    )
    device.search = words_of(device)
    session.add(device)
    await session.flush()
    await topics.take(session, device.topic)
    await _count_use(session, caller)
    return device


def first_values(caller: Caller, wanted: Registration, state: DeviceState) -> dict[str, Any]:
    """The columns of a new device that follow from who registers it, and with what."""
    now = datetime.now(UTC)
    return {
        "id": device_id(wanted.mac),
        "latitude": wanted.location.latitude,
        "longitude": wanted.location.longitude,
        "listen": [],
        "sensor_model": wanted.sensor_model,
        "firmware": wanted.firmware,
        "state": state,
        "awaits_approval": state is DeviceState.PENDING,
        "interval_seconds": DEFAULT_INTERVAL_SECONDS,
        "qos": DEFAULT_QOS,
        "config_updated_at": now,
        "config_updated_by": caller.actor,
        "online": False,
        "last_seen_at": now if caller.kind is not TokenKind.ADMIN else None,
        "registered_at": now,
        "updated_at": now,
    }


async def owner_for(session: AsyncSession, caller: Caller, name: str | None) -> Owner:
    """The owner that is named, or to whom the caller is confined."""
    if caller.owner_id is None:
        if name is None:
            raise InputError.at("owner", "Name the owner: this key belongs to no single one.")
        return await levels.owner_named(session, name)
    owner = await session.get_one(Owner, caller.owner_id)
    if name is not None and name_key(name) != owner.name_key:
        raise InputError.at("owner", f"This token is for {owner.name} only.", ErrorCode.NOT_ALLOWED)
    return owner


async def _count_use(session: AsyncSession, caller: Caller) -> None:
    if caller.max_uses is None or caller.token_id is None:
        return
    if not await tokens.use_once(session, caller.token_id):
        raise InputError.at(
            None,
            f"This enrolment key was good for {caller.max_uses} devices and is used up.",
            ErrorCode.USED_UP,
        )
