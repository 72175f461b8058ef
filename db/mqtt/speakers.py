"""Devices that speak over MQTT, found by the topic they speak on."""

from collections.abc import Collection
from datetime import UTC, datetime

from sqlalchemy import not_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from db.access.tokens import has_valid_token
from db.tables.devices import DeviceRow

AT_ONCE = 1_000


async def mark_silent_offline(
    session: AsyncSession, present: Collection[str], after: str
) -> tuple[int, str] | None:
    """The next thousand that count as online; returns how many are not there, and the last id."""
    online = (
        select(DeviceRow.id).where(DeviceRow.online, DeviceRow.id > after).order_by(DeviceRow.id)
    )
    looked_at = (await session.scalars(online.limit(AT_ONCE))).all()
    if not looked_at:
        return None
    absent = select(DeviceRow.id).where(
        DeviceRow.id.in_([id for id in looked_at if id not in present])
    )
    free = (await session.scalars(absent.with_for_update(skip_locked=True))).all()
    gone = update(DeviceRow).where(DeviceRow.id.in_(free))
    await session.execute(gone.values(online=False, status_at=datetime.now(UTC)))
    return len(free), looked_at[-1]


async def set_offline_without_token(session: AsyncSession, id: str) -> None:
    """A device that lost its last token: the broker ends its connection, maybe without its will."""
    gone = update(DeviceRow).where(
        DeviceRow.id == id, DeviceRow.online, not_(has_valid_token(DeviceRow.id))
    )
    await session.execute(gone.values(online=False, status_at=datetime.now(UTC)))
