"""The tables of devices, owners, places and types. The rules for the columns are in `domain`."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Computed,
    ForeignKey,
    Identity,
    Index,
    SmallInteger,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column, relationship

from db.tables.base import DEVICE_ID, Base
from domain.devices.device import DeviceProperties, DeviceRecord


class OwnerRow(Base):
    """A company or person; the first topic level. Name and slug never change."""

    __tablename__ = "owners"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    name: Mapped[str]
    name_key: Mapped[str] = mapped_column(unique=True)
    slug: Mapped[str] = mapped_column(unique=True)


class PlaceRow(Base):
    """A city or room of one owner; the second topic level."""

    __tablename__ = "places"
    __table_args__ = (
        UniqueConstraint("owner_id", "name_key"),
        UniqueConstraint("owner_id", "slug"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("owners.id"))
    name: Mapped[str]
    name_key: Mapped[str]
    slug: Mapped[str]


class MeasurementTypeRow(Base):
    """A measurement type of one owner; the third topic level."""

    __tablename__ = "measurement_types"
    __table_args__ = (
        UniqueConstraint("owner_id", "name_key"),
        UniqueConstraint("owner_id", "slug"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("owners.id"))
    name: Mapped[str]
    name_key: Mapped[str]
    slug: Mapped[str]


class DeviceRow(DeviceProperties, Base):
    """A device and its desired config. `number` is the order of registration.

    `listen`: the topic filters that it subscribes to, from its links. `access_revision` rises with
    every change of tokens, state or owner that decides who may act as the device.
    `awaits_approval`: it has open requests, not counting foreign ones. `reenrolment_refused`: an
    administrator has rejected a request; `foreign_refused`: a foreign one.
    `overdue_version`: the config version that was not applied in time. `status_at`: when `online`
    last changed. `absence_noted`: the event log already says that the device is offline for long.
    """

    __tablename__ = "devices"
    __table_args__ = (
        Index(None, "owner_id", "number"),
        Index(None, "place_id", "number"),
        Index(None, "measurement_type_id", "number"),
        Index("ix_devices_sensor_model", text("lower(sensor_model)"), "number"),
        Index(
            "ix_devices_search",
            "search",
            postgresql_using="gin",
            postgresql_with={"gin_pending_list_limit": 128},
        ),
        Index("ix_devices_out_of_sync", "number", postgresql_where=text("NOT synced")),
        Index("ix_devices_awaits_approval", "number", postgresql_where=text("awaits_approval")),
        Index("ix_devices_offline", "number", postgresql_where=text("NOT online")),
        Index(
            "ix_devices_gone",
            "status_at",
            postgresql_where=text(
                "state = 'active' AND NOT online AND NOT absence_noted AND status_at IS NOT NULL"
            ),
        ),
        Index(
            "ix_devices_overdue",
            "config_updated_at",
            postgresql_where=text(
                "state = 'active' AND NOT synced "
                "AND overdue_version IS DISTINCT FROM config_version"
            ),
        ),
        Index(
            "ix_devices_not_active", "state", "number", postgresql_where=text("state <> 'active'")
        ),
        {"postgresql_with": {"fillfactor": "85"}},
    )

    id: Mapped[str] = mapped_column(DEVICE_ID, primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, Identity(always=True), unique=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("owners.id"))
    place_id: Mapped[int] = mapped_column(ForeignKey("places.id"))
    measurement_type_id: Mapped[int] = mapped_column(ForeignKey("measurement_types.id"))
    topic: Mapped[str]
    listen: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]
    sensor_model: Mapped[str | None]
    firmware: Mapped[str | None]
    state: Mapped[str]
    awaits_approval: Mapped[bool] = mapped_column(server_default=false())
    reenrolment_refused: Mapped[bool] = mapped_column(server_default=false())
    foreign_refused: Mapped[bool] = mapped_column(server_default=false())
    confirmed_at: Mapped[datetime | None]
    access_revision: Mapped[int] = mapped_column(server_default=text("0"))
    config_version: Mapped[int]
    interval_seconds: Mapped[int]
    qos: Mapped[int] = mapped_column(SmallInteger)
    config_updated_at: Mapped[datetime]
    config_updated_by: Mapped[str]
    applied_version: Mapped[int | None]
    # The value of `in_sync`, for filters. As a column it has statistics for the planner.
    synced: Mapped[bool] = mapped_column(
        Computed("applied_version IS NOT DISTINCT FROM config_version", persisted=True),
        deferred=True,
    )
    applied_at: Mapped[datetime | None]
    applied_error: Mapped[str | None]
    overdue_version: Mapped[int | None]
    online: Mapped[bool] = mapped_column(server_default=false())
    status_at: Mapped[datetime | None]
    absence_noted: Mapped[bool] = mapped_column(server_default=false())
    last_seen_at: Mapped[datetime | None]
    registered_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    search: Mapped[Any] = mapped_column(TSVECTOR, deferred=True)

    owner: Mapped[OwnerRow] = relationship(lazy="raise")
    place: Mapped[PlaceRow] = relationship(lazy="raise")
    measurement_type: Mapped[MeasurementTypeRow] = relationship(lazy="raise")


class PastConfigRow(Base):
    """A replaced config version. The current one is in `devices`."""

    __tablename__ = "past_configs"

    device_id: Mapped[str] = mapped_column(
        DEVICE_ID, ForeignKey("devices.id", ondelete="CASCADE"), primary_key=True
    )
    version: Mapped[int] = mapped_column(primary_key=True)
    interval_seconds: Mapped[int]
    qos: Mapped[int] = mapped_column(SmallInteger)
    updated_at: Mapped[datetime]
    updated_by: Mapped[str]


class DeletedDeviceRow(Base):
    """The last config version of a deleted device. A new registration continues from it."""

    __tablename__ = "deleted_devices"

    device_id: Mapped[str] = mapped_column(DEVICE_ID, primary_key=True)
    config_version: Mapped[int]
    topic: Mapped[str]
    deleted_at: Mapped[datetime]


AnyDevice = DeviceRow | DeviceRecord
