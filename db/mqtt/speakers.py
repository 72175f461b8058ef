"""Devices that speak over MQTT, found by the topic they speak on."""

from collections.abc import Collection
from datetime import UTC, datetime

from sqlalchemy import not_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from db.access.tokens import holds
from db.tables.devices import Device

AT_ONCE = 1_000


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
