"""The table of open requests for approval."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Identity, false, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from db.tables.base import DEVICE_ID, Base
from db.tables.devices import DeviceRow


class EnrolmentRequestRow(Base):
    """A caller without a device's own token asks to act as this device. Deleted once decided on.

    `token_id`: its pending token. `key_id`: the enrolment key, None if the caller has none.
    `address`: the caller's IP address, None if unknown. `sensor_model`, `firmware`: as stated in
    the request. `foreign_owner`: the key is limited to another owner than the device's.
    """

    __tablename__ = "enrolment_requests"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    device_id: Mapped[str] = mapped_column(
        DEVICE_ID, ForeignKey("devices.id", ondelete="CASCADE"), index=True
    )
    token_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("tokens.id", ondelete="CASCADE"), unique=True
    )
    key_id: Mapped[int | None] = mapped_column(BigInteger)
    address: Mapped[str | None]
    sensor_model: Mapped[str | None]
    firmware: Mapped[str | None]
    times_asked: Mapped[int] = mapped_column(server_default=text("1"))
    requested_at: Mapped[datetime]
    last_asked_at: Mapped[datetime]
    foreign_owner: Mapped[bool] = mapped_column(server_default=false())

    device: Mapped[DeviceRow] = relationship(lazy="raise")
