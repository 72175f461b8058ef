"""The configs that the broker does not have yet, and the checkpoints of the broker.

The first digit of the device id is the shard of a device. Only the process that holds the lock of a
shard publishes for its devices.
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
PENDING = text(f"""
    SELECT {COLUMNS} FROM config_outbox u JOIN devices d ON d.id = u.device_id
    WHERE u.device_id >= :low AND u.device_id < :high AND d.state = 'active'
    ORDER BY u.device_id LIMIT :limit
""")  # noqa: S608
ALL = text(f"""
    SELECT {COLUMNS} FROM devices d
    WHERE d.state = 'active' AND d.id > :after AND d.id >= :low AND d.id < :high
    ORDER BY d.id LIMIT :limit
""")  # noqa: S608
STALE = text("""
    SELECT topic FROM stale_topics
    WHERE cleared_at IS NULL AND again_at <= now() AND device_id >= :low AND device_id < :high
    LIMIT :limit
""")
RECENTLY_CLEARED = text("""
    SELECT topic FROM stale_topics
    WHERE cleared_at IS NOT NULL AND device_id >= :low AND device_id < :high AND topic > :after
    ORDER BY topic LIMIT :limit
""")
SHARDS_WITH_WORK = text("""
    SELECT shard,
        EXISTS (
            SELECT FROM config_outbox u
            WHERE u.device_id >= m.shard AND u.device_id < m.shard || 'g'
        ) AS has_pending,
        EXISTS (
            SELECT FROM stale_topics s
            WHERE s.cleared_at IS NULL AND s.again_at <= now()
                AND s.device_id >= m.shard AND s.device_id < m.shard || 'g'
        ) AS has_stale
    FROM mqtt_checkpoints m
""")
# A config that has a newer version stays pending. A row that another transaction has locked is
# skipped, because that transaction changes the config.
MARK_PUBLISHED = text("""
    DELETE FROM config_outbox WHERE device_id IN (
        SELECT u.device_id FROM config_outbox u
        JOIN unnest(CAST(:ids AS text[]), CAST(:versions AS int[])) AS published (id, version)
            ON published.id = u.device_id AND published.version >= u.version
        FOR UPDATE OF u SKIP LOCKED
    )
""")
# After 3 seconds, then 6, 12, 24 and so on.
PUBLISH_AGAIN = text("""
    WITH due AS (
        SELECT f.topic, d.id, d.config_version FROM former_topics f
        JOIN devices d ON d.id = f.device_id
        WHERE d.online AND f.again_at < now()
        LIMIT 500 FOR KEY SHARE OF d SKIP LOCKED
    ), rescheduled AS (
        UPDATE former_topics f SET again_at = now() + (now() - f.since)
        FROM due WHERE due.topic = f.topic
    )
    INSERT INTO config_outbox (device_id, version) SELECT DISTINCT id, config_version FROM due
    ON CONFLICT DO NOTHING
""")
COUNT = text("SELECT count(*) FROM config_outbox")
MARK_CLEARED = text("""
    UPDATE stale_topics SET again_at = now() + interval '10 seconds',
        cleared_at = CASE WHEN since < now() - interval '10 seconds' THEN now() END
    WHERE topic = ANY(:topics)
""")
DELETE_OLD = text("DELETE FROM stale_topics WHERE cleared_at < now() - interval '30 days'")
CHECKPOINT = text("SELECT topic, sequence FROM mqtt_checkpoints WHERE shard = :shard")
CHECKPOINT_TOPICS = text("SELECT topic FROM mqtt_checkpoints")
SET_SEQUENCE = text("UPDATE mqtt_checkpoints SET sequence = :sequence WHERE shard = :shard")


@dataclass(frozen=True, slots=True)
class PendingConfig:
    """The config of one device: its version and its messages."""

    id: str
    version: int
    messages: tuple[RetainedMessage, ...]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`sequence` rises with each published batch, here and in the retained message at `topic`."""

    topic: str
    sequence: int


async def shards_with_work(session: AsyncSession) -> tuple[Collection[str], Collection[str]]:
    """Return the shards with pending configs, and the shards with stale topics to clear now."""
    rows = (await session.execute(SHARDS_WITH_WORK)).all()
    pending = {row.shard for row in rows if row.has_pending}
    return pending, {row.shard for row in rows if row.has_stale}


async def count(session: AsyncSession) -> int:
    """Return the number of configs that the broker does not have yet."""
    return int((await session.execute(COUNT)).scalar_one())


async def read_pending(session: AsyncSession, shard: str, limit: int) -> Sequence[PendingConfig]:
    return await _read(session, PENDING, {**_range(shard), "limit": limit})


async def read_all(
    session: AsyncSession, shard: str, after: str, limit: int
) -> Sequence[PendingConfig]:
    """Return the configs of active devices with an id above `after`, in the order of ids."""
    values = {**_range(shard), "after": after, "limit": limit}
    return await _read(session, ALL, values)


async def stale_topics(session: AsyncSession, shard: str, limit: int) -> Sequence[str]:
    """Return base topics to clear now."""
    return (await session.scalars(STALE, {**_range(shard), "limit": limit})).all()


async def recently_cleared(
    session: AsyncSession, shard: str, after: str, limit: int
) -> Sequence[str]:
    """Return base topics above `after` that were cleared within the last 30 days, sorted."""
    values = {**_range(shard), "after": after, "limit": limit}
    return (await session.scalars(RECENTLY_CLEARED, values)).all()


async def mark_published(session: AsyncSession, configs: Sequence[PendingConfig]) -> None:
    """Remove configs from the outbox, because the broker has acknowledged them."""
    ids, versions = [each.id for each in configs], [each.version for each in configs]
    await session.execute(MARK_PUBLISHED, {"ids": ids, "versions": versions})


async def publish_again(session: AsyncSession) -> None:
    """Queue the configs of online devices that have not confirmed their new topic in time."""
    await session.execute(PUBLISH_AGAIN)


async def mark_cleared(session: AsyncSession, topics: Sequence[str]) -> None:
    """Record that topics were cleared.

    They stay in the table for 30 days, because a broker may return with an old state.
    """
    await session.execute(MARK_CLEARED, {"topics": list(topics)})
    await session.execute(DELETE_OLD)


async def checkpoint_topics(session: AsyncSession) -> Collection[str]:
    return (await session.scalars(CHECKPOINT_TOPICS)).all()


async def checkpoint(session: AsyncSession, shard: str) -> Checkpoint:
    row = (await session.execute(CHECKPOINT, {"shard": shard})).one()
    return Checkpoint(row.topic, row.sequence)


async def set_sequence(session: AsyncSession, shard: str, sequence: int) -> None:
    await session.execute(SET_SEQUENCE, {"shard": shard, "sequence": sequence})


def _range(shard: str) -> dict[str, str]:
    """Return the range of device ids of a shard. `g` sorts after every hexadecimal digit."""
    return {"low": shard, "high": f"{shard}g"}


async def _read(
    session: AsyncSession, query: TextClause, values: dict[str, Any]
) -> Sequence[PendingConfig]:
    rows = (await session.execute(query, values)).all()
    former = await former_topics.former(session, [row[0] for row in rows])
    found = []
    for id, topic, version, interval, qos, at, listen in map(tuple, rows):
        message = ConfigMessage(topic, version, interval, qos, at, listen, former.get(id, ()))
        found.append(PendingConfig(id, version, config_messages(message)))
    return found
