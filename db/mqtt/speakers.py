"""Devices that speak over MQTT, found by the topic they speak on."""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime

from sqlalchemy import not_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from db.access.tokens import holds
from db.devices.queries import WITH_NAMES
from db.tables.devices import Device
from db.tables.mqtt import FormerTopic
from domain.devices.enrolment import DeviceState

AT_ONCE = 1_000

# What a broker has kept of others is nobody's word any more.
_MAY_SPEAK = (Device.state == DeviceState.ACTIVE, holds(Device.id))


async def reporting(
    session: AsyncSession, bases: Iterable[str]
) -> tuple[Sequence[tuple[Device, str]], Collection[str]]:
    """Active devices with the base topic, present or former, that they speak on, to be changed.

    And the base topics of those that somebody else has locked: waiting for several devices could
    end in a deadlock.
    """
    owners = {base: base.rpartition("/")[2] for base in bases}
    wanted = select(Device).where(Device.id.in_(set(owners.values())), *_MAY_SPEAK)
    former = select(FormerTopic).where(FormerTopic.topic.in_(owners))
    known = {(row.device_id, row.topic) for row in await session.scalars(former)}
    locked = wanted.options(*WITH_NAMES).with_for_update(of=Device, skip_locked=True)
    devices = {device.id: device for device in await session.scalars(locked)}
    known |= {(device.id, device.topic) for device in devices.values()}
    found = [(devices[id], base) for base, id in owners.items() if id in devices]
    busy = await _existing(session, {id for id in owners.values() if id not in devices})
    return (
        [(device, base) for device, base in found if (device.id, base) in known],
        [base for base, id in owners.items() if id in busy],
    )


async def set_offline_but(
    session: AsyncSession, present: Collection[str], after: str
) -> tuple[int, str] | None:
    """The next thousand that count as online; returns how many are not there, and the last id."""
    online = select(Device.id).where(Device.online, Device.id > after).order_by(Device.id)
    looked_at = (await session.scalars(online.limit(AT_ONCE))).all()
    if not looked_at:
        return None
    absent = select(Device.id).where(Device.id.in_([id for id in looked_at if id not in present]))
    free = (await session.scalars(absent.with_for_update(skip_locked=True))).all()
    gone = update(Device).where(Device.id.in_(free))
    await session.execute(gone.values(online=False, status_at=datetime.now(UTC)))
    return len(free), looked_at[-1]


async def set_offline_without_token(session: AsyncSession, id: str) -> None:
    """A device that lost its last token: the broker ends its connection, maybe without its will."""
    gone = update(Device).where(Device.id == id, Device.online, not_(holds(Device.id)))
    await session.execute(gone.values(online=False, status_at=datetime.now(UTC)))


async def _existing(session: AsyncSession, ids: Collection[str]) -> Collection[str]:
    if not ids:
        return ()
    wanted = select(Device.id).where(Device.id.in_(ids), *_MAY_SPEAK)
    return set(await session.scalars(wanted))
