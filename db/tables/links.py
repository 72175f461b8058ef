"""The table of links between devices: which listener gets the messages of which sources."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from db.tables.base import DEVICE_ID, Base
from db.tables.devices import DeviceRow, MeasurementTypeRow, OwnerRow, PlaceRow
from domain.mqtt.topics import selector


class LinkRow(Base):
    """A listener gets the messages of devices of its owner.

    The sources are all devices, those of a place, of a type, of both, or one device (`source`).
    """

    __tablename__ = "links"
    __table_args__ = (
        Index(
            "ix_links_selector",
            "listener_id",
            text("coalesce(place_id, 0)"),
            text("coalesce(measurement_type_id, 0)"),
            text("coalesce(source_id, '')"),
            unique=True,
        ),
        Index(None, "owner_id", "place_id", "measurement_type_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    listener_id: Mapped[str] = mapped_column(DEVICE_ID, ForeignKey("devices.id"))
    owner_id: Mapped[int] = mapped_column(ForeignKey("owners.id"))
    place_id: Mapped[int | None] = mapped_column(ForeignKey("places.id"))
    measurement_type_id: Mapped[int | None] = mapped_column(ForeignKey("measurement_types.id"))
    source_id: Mapped[str | None] = mapped_column(DEVICE_ID, ForeignKey("devices.id"), index=True)
    created_at: Mapped[datetime]
    created_by: Mapped[str]

    listener: Mapped[DeviceRow] = relationship(lazy="raise", foreign_keys=[listener_id])
    owner: Mapped[OwnerRow] = relationship(lazy="raise")
    place: Mapped[PlaceRow | None] = relationship(lazy="raise")
    measurement_type: Mapped[MeasurementTypeRow | None] = relationship(lazy="raise")
    source: Mapped[DeviceRow | None] = relationship(lazy="raise", foreign_keys=[source_id])

    @property
    def filter(self) -> str:
        """The MQTT topic filter of the link."""
        if self.source:
            return self.source.topic
        return selector(
            self.owner.slug,
            self.place.slug if self.place else None,
            self.measurement_type.slug if self.measurement_type else None,
        )
