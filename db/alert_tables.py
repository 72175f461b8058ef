"""The tables of those who are told of events."""

from datetime import datetime

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ForeignKey,
    Identity,
    Index,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from db.tables import Base


class Recipient(Base):
    """Somebody who is told of events, by a channel at an address (a chat's id, a URL).

    `owner_id`: the only owner whose events it gets. `kinds`: None for the usual ones. `source`:
    who made it known, `settings` among others. One process at a time sends to it, while its lease
    lasts; nothing before `next_send_at`, nor while it is muted. `off_reason`: why it gets nothing.
    """

    __tablename__ = "recipients"
    __table_args__ = (UniqueConstraint("channel", "address"),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    channel: Mapped[str]
    address: Mapped[str]
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("owners.id"))
    kinds: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    language: Mapped[str]
    source: Mapped[str]
    off_reason: Mapped[str | None]
    muted_until: Mapped[datetime | None]
    leased_until: Mapped[datetime | None]
    next_send_at: Mapped[datetime] = mapped_column(server_default=func.now())
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Notice(Base):
    """One event for one recipient, told in the order of ids. `state`: waiting, sent or dead."""

    __tablename__ = "notices"
    __table_args__ = (
        UniqueConstraint("recipient_id", "event_id"),
        Index(
            "ix_notices_waiting",
            "recipient_id",
            "id",
            postgresql_where=text("state = 'waiting'"),
        ),
        Index("ix_notices_state", "state", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    recipient_id: Mapped[int] = mapped_column(ForeignKey("recipients.id", ondelete="CASCADE"))
    event_id: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(server_default="waiting")
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    last_error: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    settled_at: Mapped[datetime | None]


class NotifierPosition(Base):
    """How far the log was handed out to recipients; one row."""

    __tablename__ = "notifier_position"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    tx: Mapped[int] = mapped_column(BigInteger)
    event_id: Mapped[int] = mapped_column(BigInteger)
