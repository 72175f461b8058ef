"""The tables of what the broker is owed, and of topics that devices have left."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String, func, text
from sqlalchemy.orm import Mapped, mapped_column

from db.tables.base import DEVICE_ID, Base


class ConfigOutboxRow(Base):
    """An active device whose config the broker does not have yet.

    Written by triggers on `devices` (`db.tables.triggers`), whoever changes them and however. In a
    table of its own, because a delivery then leaves the many indexes of `devices` alone.
    """

    __tablename__ = "config_outbox"

    device_id: Mapped[str] = mapped_column(
        DEVICE_ID, ForeignKey("devices.id", ondelete="CASCADE"), primary_key=True
    )
    version: Mapped[int]


class FormerTopicRow(Base):
    """A base topic that a device may still use, until it confirms that it knows its new one.

    `again_at`: when a device that is online is told once more, since it may have confirmed before
    the broker knew its new rights.
    """

    __tablename__ = "former_topics"

    topic: Mapped[str] = mapped_column(primary_key=True)
    device_id: Mapped[str] = mapped_column(
        DEVICE_ID, ForeignKey("devices.id", ondelete="CASCADE"), index=True
    )
    since: Mapped[datetime] = mapped_column(server_default=func.now())
    again_at: Mapped[datetime]


class StaleTopicRow(Base):
    """A base topic of nobody's any more: its retained messages have to go from the broker, twice,
    since whoever is cut off may still have a last word; at `cleared_at` they were gone.
    """

    __tablename__ = "stale_topics"
    __table_args__ = (
        Index(None, "device_id", postgresql_where=text("cleared_at IS NULL")),
        Index(None, "cleared_at"),
    )

    topic: Mapped[str] = mapped_column(primary_key=True)
    device_id: Mapped[str] = mapped_column(DEVICE_ID)
    since: Mapped[datetime] = mapped_column(server_default=func.now())
    again_at: Mapped[datetime] = mapped_column(server_default=func.now())
    cleared_at: Mapped[datetime | None]


class MqttCheckpointRow(Base):
    """How far the broker was brought for a shard of the fleet. `sequence` is also retained there:
    a broker that has an older one, or none, has lost messages.
    """

    __tablename__ = "mqtt_checkpoints"

    shard: Mapped[str] = mapped_column(String(1, collation="C"), primary_key=True)
    topic: Mapped[str]
    sequence: Mapped[int] = mapped_column(BigInteger)
