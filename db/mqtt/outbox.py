"""What the broker does not have yet, and what it was brought to.

The fleet is cut into shards by the first digit of the device id: whoever holds a shard's lock is
the only one that publishes for its devices.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from db.mqtt import former_topics
from domain.mqtt.messages import ConfigMessage, RetainedMessage, config_messages

SHARDS = "0123456789abcdef"

COLUMNS = """
    d.id, d.topic, d.config_version, d.interval_seconds, d.qos,
    extract(epoch FROM d.config_updated_at)::bigint AS at, d.listen
"""
BEHIND = text(f"""
    SELECT {COLUMNS} FROM config_outbox u JOIN devices d ON d.id = u.device_id
    WHERE u.device_id >= :low AND u.device_id < :high AND d.state = 'active'
    ORDER BY u.device_id LIMIT :most
""")  # noqa: S608
ALL = text(f"""
    SELECT {COLUMNS} FROM devices d
    WHERE d.state = 'active' AND d.id > :after AND d.id >= :low AND d.id < :high
    ORDER BY d.id LIMIT :most
""")  # noqa: S608
STALE = text("""
    SELECT topic FROM stale_topics
    WHERE cleared_at IS NULL AND again_at <= now() AND device_id >= :low AND device_id < :high
    LIMIT :most
""")
CLEARED_BEFORE = text("""
    SELECT topic FROM stale_topics
    WHERE cleared_at IS NOT NULL AND device_id >= :low AND device_id < :high AND topic > :after
    ORDER BY topic LIMIT :most
""")
WAITING = text("""
    SELECT shard,
        EXISTS (
            SELECT FROM config_outbox u
            WHERE u.device_id >= m.shard AND u.device_id < m.shard || 'g'
        ) AS owed,
        EXISTS (
            SELECT FROM stale_topics s
            WHERE s.cleared_at IS NULL AND s.again_at <= now()
                AND s.device_id >= m.shard AND s.device_id < m.shard || 'g'
        ) AS stale
    FROM mqtt_checkpoints m
""")
# A config that was changed meanwhile is still owed, and one that somebody changes now is left.
MARK = text("""
    DELETE FROM config_outbox WHERE device_id IN (
        SELECT u.device_id FROM config_outbox u
        JOIN unnest(CAST(:ids AS text[]), CAST(:versions AS int[])) AS published (id, version)
            ON published.id = u.device_id AND published.version >= u.version
        FOR UPDATE OF u SKIP LOCKED
    )
""")
# After 3 seconds, then 6, 12, 24 ...
AGAIN = text("""
    WITH due AS (
        SELECT f.topic, d.id, d.config_version FROM former_topics f
        JOIN devices d ON d.id = f.device_id
        WHERE d.online AND f.again_at < now()
        LIMIT 500 FOR KEY SHARE OF d SKIP LOCKED
    ), told AS (
        UPDATE former_topics f SET again_at = now() + (now() - f.since)
        FROM due WHERE due.topic = f.topic
    )
    INSERT INTO config_outbox (device_id, version) SELECT DISTINCT id, config_version FROM due
    ON CONFLICT DO NOTHING
""")
COUNT = text("SELECT count(*) FROM config_outbox")
CLEARED = text("""
    UPDATE stale_topics SET again_at = now() + interval '10 seconds',
        cleared_at = CASE WHEN since < now() - interval '10 seconds' THEN now() END
    WHERE topic = ANY(:topics)
""")
FORGOTTEN = text("DELETE FROM stale_topics WHERE cleared_at < now() - interval '30 days'")
MARKER = text("SELECT topic, sequence FROM mqtt_checkpoints WHERE shard = :shard")
MARKER_TOPICS = text("SELECT topic FROM mqtt_checkpoints")
SEQUENCE = text("UPDATE mqtt_checkpoints SET sequence = :sequence WHERE shard = :shard")


@dataclass(frozen=True, slots=True)
class PendingConfig:
    """The config of one device: its version, and the messages that say it."""

    id: str
    version: int
    messages: tuple[RetainedMessage, ...]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`sequence` rises with every delivery, here and in the message that is retained at `topic`."""

    topic: str
    sequence: int


async def waiting(session: AsyncSession) -> tuple[Collection[str], Collection[str]]:
    """The shards for which the broker lacks configs, and those with something to be cleared."""
    rows = (await session.execute(WAITING)).all()
    return {row.shard for row in rows if row.owed}, {row.shard for row in rows if row.stale}


async def count(session: AsyncSession) -> int:
    """Configs that the broker does not have yet."""
    return int((await session.execute(COUNT)).scalar_one())


async def read_pending(session: AsyncSession, shard: str, most: int) -> Sequence[PendingConfig]:
    return await _deliveries(session, BEHIND, {**_range(shard), "most": most})


async def all_of(
    session: AsyncSession, shard: str, after: str, most: int
) -> Sequence[PendingConfig]:
    """In the order of ids, from `after` on."""
    values = {**_range(shard), "after": after, "most": most}
    return await _deliveries(session, ALL, values)


async def stale(session: AsyncSession, shard: str, most: int) -> Sequence[str]:
    """Base topics to be cleared."""
    return (await session.scalars(STALE, {**_range(shard), "most": most})).all()


async def cleared_before(session: AsyncSession, shard: str, after: str, most: int) -> Sequence[str]:
    """Base topics that were cleared within the last 30 days, in their order."""
    values = {**_range(shard), "after": after, "most": most}
    return (await session.scalars(CLEARED_BEFORE, values)).all()


async def mark_published(session: AsyncSession, deliveries: Sequence[PendingConfig]) -> None:
    """The broker has acknowledged them."""
    ids, versions = [d.id for d in deliveries], [d.version for d in deliveries]
    await session.execute(MARK, {"ids": ids, "versions": versions})


async def publish_again(session: AsyncSession) -> None:
    """Devices that are online, but have not confirmed their new topic for a while."""
    await session.execute(AGAIN)


async def cleared(session: AsyncSession, topics: Sequence[str]) -> None:
    """They are remembered for a while: a broker may come back with what it had before."""
    await session.execute(CLEARED, {"topics": list(topics)})
    await session.execute(FORGOTTEN)


async def checkpoint_topics(session: AsyncSession) -> Collection[str]:
    return (await session.scalars(MARKER_TOPICS)).all()


async def checkpoint(session: AsyncSession, shard: str) -> Checkpoint:
    row = (await session.execute(MARKER, {"shard": shard})).one()
    return Checkpoint(row.topic, row.sequence)


async def set_sequence(session: AsyncSession, shard: str, sequence: int) -> None:
    await session.execute(SEQUENCE, {"shard": shard, "sequence": sequence})


def _range(shard: str) -> dict[str, str]:
    """Of ids: `g` comes after every hexadecimal digit."""
    return {"low": shard, "high": f"{shard}g"}


async def _deliveries(
    session: AsyncSession, query: TextClause, values: dict[str, Any]
) -> Sequence[PendingConfig]:
    rows = (await session.execute(query, values)).all()
    former = await former_topics.former(session, [row[0] for row in rows])
    found = []
    for id, topic, version, interval, qos, at, listen in map(tuple, rows):
        desired = ConfigMessage(topic, version, interval, qos, at, listen, former.get(id, ()))
        found.append(PendingConfig(id, version, config_messages(desired)))
    return found
