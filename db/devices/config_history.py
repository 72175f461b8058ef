"""Replaced config versions."""

from collections.abc import Collection, Sequence

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from db.tables.devices import PastConfigRow
from domain.devices.config import Config


async def past_configs(
    session: AsyncSession, versions: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], Config]:
    """Return replaced configs of several devices, by device id and version."""
    wanted = select(PastConfigRow).where(
        tuple_(PastConfigRow.device_id, PastConfigRow.version).in_(versions)
    )
    return {
        (past.device_id, past.version): config_of(past) for past in await session.scalars(wanted)
    }


async def config_histories(
    session: AsyncSession, ids: Collection[str], limit: int
) -> dict[str, list[Config]]:
    """Return replaced configs by device id, the newest first, at most `limit` per device."""
    newest_first = func.row_number().over(
        partition_by=PastConfigRow.device_id, order_by=PastConfigRow.version.desc()
    )
    ranked = (
        select(PastConfigRow, newest_first.label("nth"))
        .where(PastConfigRow.device_id.in_(ids))
        .subquery()
    )
    past = aliased(PastConfigRow, ranked)
    wanted = select(past).where(ranked.c.nth <= limit).order_by(past.version.desc())
    found: dict[str, list[Config]] = {}
    for row in await session.scalars(wanted):
        found.setdefault(row.device_id, []).append(config_of(row))
    return found


def config_of(past: PastConfigRow) -> Config:
    return Config(past.version, past.interval_seconds, past.qos, past.updated_at, past.updated_by)
