"""The table of tokens."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from db.tables.base import DEVICE_ID, Base
from db.tables.devices import OwnerRow


class TokenRow(Base):
    """A token, stored as a hash.

    `waiting`: an administrator must approve it first; `approved`: one has. `issued_by`: the
    enrolment key for which a device token was issued. `mqtt_hash`: the same secret as a Mosquitto
    password, for tokens of devices and administrators.
    """

    __tablename__ = "tokens"
    __table_args__ = (Index("ix_tokens_kind_id", "kind", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    kind: Mapped[str]
    hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    mqtt_hash: Mapped[str | None]
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("owners.id"))
    device_id: Mapped[str | None] = mapped_column(
        DEVICE_ID, ForeignKey("devices.id", ondelete="CASCADE"), index=True
    )
    issued_by: Mapped[int | None] = mapped_column(BigInteger)
    note: Mapped[str | None]
    waiting: Mapped[bool] = mapped_column(server_default=false())
    approved: Mapped[bool] = mapped_column(server_default=false())
    max_uses: Mapped[int | None]
    uses: Mapped[int] = mapped_column(server_default=text("0"))
    created_at: Mapped[datetime]
    created_by: Mapped[str]
    expires_at: Mapped[datetime | None]
    confirmed_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    owner: Mapped[OwnerRow | None] = relationship(lazy="raise")
