"""The tables of pending configs, of former and stale topics, and of the broker's checkpoints."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String, func, text
from sqlalchemy.orm import Mapped, mapped_column

from db.tables.base import DEVICE_ID, Base


class ConfigOutboxRow(Base):
    """An active device whose config the broker does not have yet.

    Triggers on `devices` write it (`db.tables.triggers`), so every statement that changes a config
    adds a row. It is a separate table, so that publishing does not update the indexes of `devices`.
    """

    __tablename__ = "config_outbox"

    device_id: Mapped[str] = mapped_column(
        DEVICE_ID, ForeignKey("devices.id", ondelete="CASCADE"), primary_key=True
    )
    version: Mapped[int]


class FormerTopicRow(Base):
    """A base topic that a device may still use, until it confirms its new one.

    `again_at`: when the config is published again to a device that is online. Its confirmation may
    have been lost if the broker did not have its new rights yet.
    """

    __tablename__ = "former_topics"

    topic: Mapped[str] = mapped_column(primary_key=True)
    device_id: Mapped[str] = mapped_column(
        DEVICE_ID, ForeignKey("devices.id", ondelete="CASCADE"), index=True
    )
    since: Mapped[datetime] = mapped_column(server_default=func.now())
    again_at: Mapped[datetime]


class StaleTopicRow(Base):
    """A base topic that no device uses. Its retained messages must be cleared from the broker.

    They are cleared twice, because the will of a disconnected client may still add one.
    `cleared_at`: when both are done.
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
    """The number that says how far the broker is for a shard of the fleet.

    `sequence` is also a retained message at `topic`. A broker that has an older one, or none, has
    lost messages.
    """

    __tablename__ = "mqtt_checkpoints"

    shard: Mapped[str] = mapped_column(String(1, collation="C"), primary_key=True)
    topic: Mapped[str]
    sequence: Mapped[int] = mapped_column(BigInteger)
