"""The tables of alerts: recipients, invites and deliveries."""

from datetime import datetime, time

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
    false,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from db.tables.base import Base
from db.tables.devices import OwnerRow
from domain.alerts.quiet_hours import QuietHours

MAX_ID = 2**31 - 1


class RecipientRow(Base):
    """Receives alerts by a channel at an address (a chat id, a URL).

    Rights: `role` and `owner_id` limit what it may do and see. Within these limits it selects
    `kinds` (None: the default kinds) and `owner_ids` (None: all).

    Origin: `source` is `settings`, or the actor that invited it. `configured_as` is its address in
    the settings; the present address may differ. `name` is shown to people. `since_event`: the
    last event before it was added.

    Sending: one process at a time sends to it, until its lease ends (`leased_until`). Nothing is
    sent before `next_send_at`, nor while it is muted. `attempts`: failures in a row; `last_error`:
    the last of them. `paused_at` and `muted_at`: when the due times were set, by the database's
    clock. `topic`: the topic of a group to which alerts are sent. None: the group itself, or the
    address already names a topic.

    Disabled: `off_reason` is the reason. `away`: the channel is the reason, so events are counted
    in `missed_alerts` until it accepts messages again.
    """

    __tablename__ = "recipients"
    __table_args__ = (UniqueConstraint("channel", "address"),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    channel: Mapped[str]
    address: Mapped[str]
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("owners.id"))
    role: Mapped[str] = mapped_column(server_default="viewer")
    kinds: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    owner_ids: Mapped[list[int] | None] = mapped_column(ARRAY(Integer))
    name: Mapped[str | None]
    language: Mapped[str]
    source: Mapped[str]
    configured_as: Mapped[str | None]
    off_reason: Mapped[str | None]
    away: Mapped[bool] = mapped_column(server_default=false())
    topic: Mapped[int | None]
    since_event: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    muted_until: Mapped[datetime | None]
    muted_at: Mapped[datetime | None]
    quiet_from: Mapped[time | None]
    quiet_until: Mapped[time | None]
    quiet_zone: Mapped[str | None]
    leased_until: Mapped[datetime | None]
    next_send_at: Mapped[datetime] = mapped_column(server_default=func.now())
    paused_at: Mapped[datetime] = mapped_column(server_default=func.now())
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    last_error: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    owner: Mapped[OwnerRow | None] = relationship(lazy="raise")

    @property
    def target(self) -> str:
        """The address to which alerts are sent, with the topic if there is one."""
        return f"{self.address}:{self.topic}" if self.topic else self.address

    @property
    def quiet_hours(self) -> QuietHours | None:
        if self.quiet_from is None or self.quiet_until is None or self.quiet_zone is None:
            return None
        return QuietHours(self.quiet_from, self.quiet_until, self.quiet_zone)

    @quiet_hours.setter
    def quiet_hours(self, hours: QuietHours | None) -> None:
        self.quiet_from = hours.begin if hours else None
        self.quiet_until = hours.end if hours else None
        self.quiet_zone = hours.zone if hours else None


class InviteRow(Base):
    """An invite code, stored as a hash. It makes one chat a recipient with this role and owner.

    `token_id`: the token that created it. The invite is valid only while that token is.
    """

    __tablename__ = "invites"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    role: Mapped[str]
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("owners.id"))
    note: Mapped[str | None]
    created_at: Mapped[datetime]
    created_by: Mapped[str]
    token_id: Mapped[int | None] = mapped_column(BigInteger)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    used_by: Mapped[str | None]

    owner: Mapped[OwnerRow | None] = relationship(lazy="raise")


class TelegramBotRow(Base):
    """The bot's user name, as Telegram returned it. The table has one row."""

    __tablename__ = "telegram_bot"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    username: Mapped[str]


class DeliveryRow(Base):
    """One event for one recipient, sent in the order of ids. `state`: waiting, sent or dead."""

    __tablename__ = "deliveries"
    __table_args__ = (
        UniqueConstraint("recipient_id", "event_id"),
        Index(
            "ix_deliveries_waiting",
            "recipient_id",
            "id",
            postgresql_where=text("state = 'waiting'"),
        ),
        Index("ix_deliveries_state", "state", "id"),
        Index(
            "ix_deliveries_settled_at", "settled_at", postgresql_where=text("state <> 'waiting'")
        ),
        # Retention keeps the events of pending deliveries.
        Index(
            "ix_deliveries_event_waiting", "event_id", postgresql_where=text("state = 'waiting'")
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    recipient_id: Mapped[int] = mapped_column(ForeignKey("recipients.id", ondelete="CASCADE"))
    event_id: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(server_default="waiting")
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    last_error: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    settled_at: Mapped[datetime | None]


class MissedAlertRow(Base):
    """The number of events of a kind that a recipient missed while it was away, and their range."""

    __tablename__ = "missed_alerts"

    recipient_id: Mapped[int] = mapped_column(
        ForeignKey("recipients.id", ondelete="CASCADE"), primary_key=True
    )
    kind: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
    first_event: Mapped[int] = mapped_column(BigInteger)
    last_event: Mapped[int] = mapped_column(BigInteger)
    since: Mapped[datetime] = mapped_column(server_default=func.now())


class FanOutPositionRow(Base):
    """The last event that was fanned out to recipients. The table has one row."""

    __tablename__ = "fan_out_position"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    tx: Mapped[int] = mapped_column(BigInteger)
    event_id: Mapped[int] = mapped_column(BigInteger)
