"""Marks devices as offline that have no MQTT session."""

from collections.abc import Collection
from datetime import UTC, datetime

from sqlalchemy import not_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from db.access.tokens import has_valid_token
from db.tables.devices import DeviceRow

# Devices per transaction.
BATCH_SIZE = 1_000


async def mark_silent_offline(
    session: AsyncSession, present: Collection[str], after: str
) -> tuple[int, str] | None:
    """Mark devices of the next batch as offline if they are online in the table, but not `present`.

    Returns how many, and the last id of the batch; None if no device has an id above `after`.
    """
    online = (
        select(DeviceRow.id).where(DeviceRow.online, DeviceRow.id > after).order_by(DeviceRow.id)
    )
    batch = (await session.scalars(online.limit(BATCH_SIZE))).all()
    if not batch:
        return None
    absent = select(DeviceRow.id).where(DeviceRow.id.in_([id for id in batch if id not in present]))
    locked = (await session.scalars(absent.with_for_update(skip_locked=True))).all()
    statement = update(DeviceRow).where(DeviceRow.id.in_(locked))
    await session.execute(statement.values(online=False, status_at=datetime.now(UTC)))
    return len(locked), batch[-1]


async def set_offline_without_token(session: AsyncSession, id: str) -> None:
    """Mark a device as offline if it has no valid token.

    The broker ends its connection, and may not publish its will.
    """
    statement = update(DeviceRow).where(
        DeviceRow.id == id, DeviceRow.online, not_(has_valid_token(DeviceRow.id))
    )
    await session.execute(statement.values(online=False, status_at=datetime.now(UTC)))
