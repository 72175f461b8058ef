"""Devices as people see and change them."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from db.devices import links
from db.devices import queries as devices
from db.devices import topic_levels as levels
from db.devices.fleet_counts import FleetCounts, fleet_counts
from db.devices.search import words_of
from db.events.record import changes, device_facts, record
from db.mqtt import former_topics as topics
from db.paging import Rows
from db.tables.devices import AnyDevice, Device
from domain.access.caller import Action, Caller
from domain.devices.config import Config
from domain.devices.device import DeviceView
from domain.devices.inputs import DeviceChange, DeviceFilter
from domain.errors import InputError
from domain.events.kinds import EventKind
from domain.inputs import Page
from domain.mqtt.topics import base_topic
from resolvers.devices.config import next_config
from resolvers.devices.links import follow_topic, unlink_all
from resolvers.devices.lookup import existing, visible
from resolvers.devices.topic_levels import owner_for
from resolvers.services import Desk

MAX_HISTORY = 100


async def me(desk: Desk, caller: Caller, own: DeviceView | None) -> DeviceView | None:
    """The device whose token this is; None for a person's token. `own`: it, if it was just read."""
    caller.require(Action.READ_SELF)
    if own or not caller.device_id:
        return own
    return await device(desk, caller, caller.device_id)


async def device(desk: Desk, caller: Caller, id: str) -> DeviceView | None:
    """None where there is no such device, or none that the caller can see."""
    caller.require(Action.READ_DEVICE)
    return await visible(desk, caller, id)


async def list_devices(
    desk: Desk, caller: Caller, wanted: DeviceFilter, page: Page
) -> Rows[DeviceView]:
    caller.require(Action.READ_FLEET)
    # How many have a word nobody can tell before.
    few = bool(wanted.search) and (await count_devices(desk, caller, wanted))[1]
    return await desk.reader.page(caller.scope, wanted, page, few=few)


async def count_devices(desk: Desk, caller: Caller, wanted: DeviceFilter) -> tuple[int, bool]:
    """How many there are, and whether that is exact."""
    caller.require(Action.READ_FLEET)
    async with desk.database.begin() as session:
        return await devices.count(session, caller.scope, wanted)


async def count_fleet(desk: Desk, caller: Caller) -> FleetCounts:
    caller.require(Action.READ_FLEET)
    async with desk.database.begin() as session:
        return await fleet_counts(session, caller.scope)


def check_history(first: int) -> None:
    """Raises InputError for more versions than can be had at once."""
    if not 1 <= first <= MAX_HISTORY:
        raise InputError.at("first", f"Ask for 1 to {MAX_HISTORY} versions.")


async def config_histories(
    desk: Desk, wanted: Sequence[tuple[AnyDevice, int]]
) -> list[list[Config]]:
    """The configs of devices that the caller has in hand, so many of each, the newest first."""
    lengths = {first for _, first in wanted}
    past: dict[tuple[str, int], list[Config]] = {}
    async with desk.database.begin() as session:
        for first in lengths - {1}:
            ids = {device.id for device, length in wanted if length == first}
            found = await devices.config_histories(session, ids, first - 1)
            past |= {(id, first): configs for id, configs in found.items()}
    return [[device.config, *past.get((device.id, first), [])] for device, first in wanted]


async def past_configs(desk: Desk, versions: Sequence[tuple[str, int]]) -> list[Config | None]:
    """Replaced config versions, by device id and version, in the order asked for."""
    async with desk.database.begin() as session:
        found = await devices.past_configs(session, versions)
    return [found.get(version) for version in versions]


async def update_device(desk: Desk, caller: Caller, id: str, change: DeviceChange) -> Device:
    """A new owner, place or type gives it a new topic, and that a new config version."""
    caller.require(Action.CHANGE_DEVICE)
    async with desk.database.begin() as session:
        if change.owner or change.location or change.measurement_type:
            await links.hold(session)
        device = await existing(session, caller, id)
        before = device_facts(device)
        await _move(session, caller, device, change)
        if change.sensor_model is not None:
            device.sensor_model = change.sensor_model
        if change.firmware is not None:
            device.firmware = change.firmware
        changed = changes(before, device_facts(device))
        if changed[1]:
            device.updated_at = datetime.now(UTC)
            device.search = words_of(device)
            record(
                session,
                EventKind.DEVICE_UPDATED,
                caller,
                device=device,
                before=changed[0],
                after=changed[1],
            )
        return device


async def _move(
    session: AsyncSession, caller: Caller, device: Device, change: DeviceChange
) -> None:
    owner = device.owner
    if change.owner is not None:
        owner = await owner_for(session, caller, change.owner)
    at = await levels.levels_named(
        session,
        owner,
        change.location.place if change.location else device.place.name,
        change.measurement_type or device.measurement_type.name,
    )
    if owner.id != device.owner_id:
        await unlink_all(session, caller, device)
        device.listen = []
    device.owner, device.place, device.measurement_type = owner, at.place, at.measurement_type
    device.owner_id = owner.id
    if change.location is not None:
        device.latitude = change.location.latitude
        device.longitude = change.location.longitude
    topic = base_topic(owner.slug, at.place.slug, at.measurement_type.slug, device.id)
    if topic != device.topic:
        await topics.leave(session, device, topic)
        next_config(session, caller, device)
        await follow_topic(session, caller, device)
