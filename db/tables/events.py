"""The table of events."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Identity,
    Index,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from db.tables.base import DEVICE_ID, Base


class EventRow(Base):
    """Append-only event log: outbox, audit log and source of subscriptions.

    Ids become visible out of order, so the log is read by `tx`, the transaction that wrote the row.
    """

    __tablename__ = "events"
    __table_args__ = (
        Index(None, "device_id", "id"),
        Index(None, "tx", "id"),
        Index(None, "owner_id", "id"),
        Index(None, "kind", "id"),
        # Most events are by devices. They are found by the index on `device_id`.
        Index(
            "ix_events_actor_id",
            "actor",
            "id",
            postgresql_where=text("actor NOT LIKE 'device:%'"),
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    kind: Mapped[str]
    device_id: Mapped[str | None] = mapped_column(DEVICE_ID)
    owner_id: Mapped[int | None]
    actor: Mapped[str]
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]
    tx: Mapped[int] = mapped_column(
        BigInteger, server_default=text("pg_current_xact_id()::text::bigint")
    )
