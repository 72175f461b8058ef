"""Base topics that devices have left.

The new topic is announced there until the device confirms it. Then the former topic is cleared.
"""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.tables.devices import DeviceRow
from db.tables.mqtt import FormerTopicRow, StaleTopicRow

# Until the config is published again to a device that has not confirmed its new topic.
AGAIN_SECONDS = 3


async def reclaim(session: AsyncSession, topic: str) -> None:
    """Keep the messages of a base topic, because a device uses it (again)."""
    for table in (FormerTopicRow, StaleTopicRow):
        await session.execute(delete(table).where(table.topic == topic))


async def start_move(session: AsyncSession, device: DeviceRow, topic: str) -> None:
    """Give the device another base topic. It may still use the present one until it confirms."""
    await reclaim(session, topic)
    again_at = datetime.now(UTC) + timedelta(seconds=AGAIN_SECONDS)
    former = insert(FormerTopicRow).values(
        topic=device.topic, device_id=device.id, again_at=again_at
    )
    await session.execute(former.on_conflict_do_nothing())
    device.topic = topic


async def finish_move(session: AsyncSession, ids: Collection[str]) -> dict[str, list[str]]:
    """Queue the former topics of devices for clearing, because the devices use their new ones.

    Returns the former topics by device id.
    """
    statement = delete(FormerTopicRow).where(FormerTopicRow.device_id.in_(ids))
    found: dict[str, list[str]] = {}
    for row in await session.execute(
        statement.returning(FormerTopicRow.topic, FormerTopicRow.device_id)
    ):
        found.setdefault(row.device_id, []).append(row.topic)
    await _add_stale(session, [(topic, id) for id, topics in found.items() for topic in topics])
    return found


async def clear_all(session: AsyncSession, device: DeviceRow) -> None:
    """Queue all topics of a device for clearing, because it is deleted."""
    await finish_move(session, [device.id])
    await _add_stale(session, [(device.topic, device.id)])


async def former(session: AsyncSession, ids: Collection[str]) -> dict[str, list[str]]:
    """Return the former base topics that devices may still use, by device id."""
    found: dict[str, list[str]] = {}
    wanted = (
        select(FormerTopicRow)
        .where(FormerTopicRow.device_id.in_(ids))
        .order_by(FormerTopicRow.topic)
    )
    for row in await session.scalars(wanted):
        found.setdefault(row.device_id, []).append(row.topic)
    return found


async def _add_stale(session: AsyncSession, topics: Collection[tuple[str, str]]) -> None:
    if topics:
        rows = [{"topic": topic, "device_id": device_id} for topic, device_id in topics]
        statement = insert(StaleTopicRow).values(rows)
        await session.execute(
            statement.on_conflict_do_update(
                index_elements=["topic"],
                set_={"since": func.now(), "again_at": func.now(), "cleared_at": None},
            )
        )
