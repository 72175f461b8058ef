"""What the broker does not have yet, and what it was brought to.

The fleet is cut into shards by the first digit of the device id: whoever holds a shard's lock is
the only one that publishes for its devices.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.wire import Desired, Retained, config_messages

SHARDS = "0123456789abcdef"
LOCK = 7_265_540

# `former`: base topics where the device may still listen, and is told its new one.
COLUMNS = """
    d.id, d.topic, d.config_version AS version, d.interval_seconds, d.qos,
    extract(epoch FROM d.config_updated_at)::bigint AS at, d.listen,
    ARRAY(SELECT f.topic FROM former_topics f WHERE f.device_id = d.id) AS former
"""
BEHIND = text(f"""
    SELECT {COLUMNS} FROM devices d
    WHERE d.state = 'active' AND d.published_version IS DISTINCT FROM d.config_version
        AND d.id >= :low AND d.id < :high
    ORDER BY d.id LIMIT :most
""")  # noqa: S608
ALL = text(f"""
    SELECT {COLUMNS} FROM devices d
    WHERE d.state = 'active' AND d.id > :after AND d.id >= :low AND d.id < :high
    ORDER BY d.id LIMIT :most
""")  # noqa: S608
STALE = text("""
    SELECT topic FROM stale_topics WHERE device_id >= :low AND device_id < :high LIMIT :most
""")
DELETED = text("""
    SELECT g.device_id, g.topic FROM deleted_devices g
    WHERE g.device_id > :after AND g.device_id >= :low AND g.device_id < :high
        AND NOT EXISTS (SELECT FROM devices d WHERE d.id = g.device_id)
    ORDER BY g.device_id LIMIT :most
""")
WAITING = text("""
    SELECT shard FROM broker_markers m
    WHERE EXISTS (
        SELECT FROM devices d
        WHERE d.state = 'active' AND d.published_version IS DISTINCT FROM d.config_version
            AND d.id >= m.shard AND d.id < m.shard || 'g'
    ) OR EXISTS (
        SELECT FROM stale_topics s WHERE s.device_id >= m.shard AND s.device_id < m.shard || 'g'
    )
""")
# Rows that somebody else changes now are left out: they are published again.
MARK = text("""
    WITH published AS (
        SELECT unnest(CAST(:ids AS text[])) AS id, unnest(CAST(:versions AS int[])) AS version
    ), free AS (
        SELECT d.id FROM devices d WHERE d.id = ANY(:ids) FOR UPDATE SKIP LOCKED
    )
    UPDATE devices d SET published_version = p.version
    FROM published p JOIN free ON free.id = p.id
    WHERE d.id = p.id
""")
# After 3 seconds, then 6, 12, 24 ...
AGAIN = text("""
    WITH due AS (
        UPDATE former_topics f SET again_at = now() + (now() - f.since)
        FROM devices d WHERE d.id = f.device_id AND d.online AND f.again_at < now()
        RETURNING f.device_id
    ), free AS (
        SELECT id FROM devices WHERE id IN (SELECT device_id FROM due) FOR UPDATE SKIP LOCKED
    )
    UPDATE devices SET published_version = NULL WHERE id IN (SELECT id FROM free)
""")
CLEARED = text("DELETE FROM stale_topics WHERE topic = ANY(:topics)")
MARKER = text("SELECT topic, sequence FROM broker_markers WHERE shard = :shard")
MARKER_TOPICS = text("SELECT topic FROM broker_markers")
SEQUENCE = text("UPDATE broker_markers SET sequence = :sequence WHERE shard = :shard")


@dataclass(frozen=True, slots=True)
class Delivery:
    """The config of one device: its version, and the messages that say it."""

    id: str
    version: int
    messages: tuple[Retained, ...]


@dataclass(frozen=True, slots=True)
class Marker:
    """`sequence` rises with every delivery, here and in the message that is retained at `topic`."""

    topic: str
    sequence: int


async def waiting(session: AsyncSession) -> Collection[str]:
    """The shards for which the broker lacks something."""
    return (await session.scalars(WAITING)).all()


async def behind(session: AsyncSession, shard: str, most: int) -> Sequence[Delivery]:
    return _deliveries(await session.execute(BEHIND, {**_range(shard), "most": most}))


async def all_of(session: AsyncSession, shard: str, after: str, most: int) -> Sequence[Delivery]:
    """In the order of ids, from `after` on."""
    values = {**_range(shard), "after": after, "most": most}
    return _deliveries(await session.execute(ALL, values))


async def stale(session: AsyncSession, shard: str, most: int) -> Sequence[str]:
    """Base topics to be cleared."""
    return (await session.scalars(STALE, {**_range(shard), "most": most})).all()


async def deleted(
    session: AsyncSession, shard: str, after: str, most: int
) -> Sequence[tuple[str, str]]:
    """Id and last base topic of devices that are gone, in the order of ids."""
    values = {**_range(shard), "after": after, "most": most}
    return [(row.device_id, row.topic) for row in await session.execute(DELETED, values)]


async def mark(session: AsyncSession, deliveries: Sequence[Delivery]) -> None:
    """The broker has acknowledged them."""
    ids, versions = [d.id for d in deliveries], [d.version for d in deliveries]
    await session.execute(MARK, {"ids": ids, "versions": versions})


async def tell_again(session: AsyncSession) -> None:
    """Devices that are online, but have not confirmed their new topic for a while."""
    await session.execute(AGAIN)


async def cleared(session: AsyncSession, topics: Sequence[str]) -> None:
    await session.execute(CLEARED, {"topics": list(topics)})


async def marker_topics(session: AsyncSession) -> Collection[str]:
    return (await session.scalars(MARKER_TOPICS)).all()


async def marker(session: AsyncSession, shard: str) -> Marker:
    row = (await session.execute(MARKER, {"shard": shard})).one()
    return Marker(row.topic, row.sequence)


async def set_sequence(session: AsyncSession, shard: str, sequence: int) -> None:
    await session.execute(SEQUENCE, {"shard": shard, "sequence": sequence})


def _range(shard: str) -> dict[str, str]:
    """Of ids: `g` comes after every hexadecimal digit."""
    return {"low": shard, "high": f"{shard}g"}


def _deliveries(rows: Iterable[Row[Any]]) -> Sequence[Delivery]:
    return [
        Delivery(
            row.id,
            row.version,
            config_messages(
                Desired(
                    row.topic,
                    row.version,
                    row.interval_seconds,
                    row.qos,
                    row.at,
                    row.listen,
                    row.former,
                )
            ),
        )
        for row in rows
    ]
