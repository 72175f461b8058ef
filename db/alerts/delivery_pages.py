"""What became of notices, for people to look at: the newest first."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload

from db.paging import Rows, cursor, number_of, position
from db.tables.alerts import MAX_ID, Notice, Recipient
from db.tables.events import Event
from domain.alerts.inputs import DeliveryFilter
from domain.inputs import Page


@dataclass(frozen=True, slots=True)
class NoticeRow:
    notice: Notice
    recipient: Recipient
    event: Event | None


async def page(
    session: AsyncSession, owner_id: int | None, wanted: DeliveryFilter, page: Page
) -> Rows[NoticeRow]:
    """Of recipients that are confined to the owner; of all where `owner_id` is None."""
    found = (
        select(Notice, Recipient, Event)
        .join(Recipient, Recipient.id == Notice.recipient_id)
        .outerjoin(Event, Event.id == Notice.event_id)
        .options(joinedload(Recipient.owner))
        .order_by(Notice.id.desc())
    )
    if owner_id is not None:
        found = found.where(Recipient.owner_id == owner_id, Event.owner_id == owner_id)
    if wanted.state is not None:
        found = found.where(Notice.state == wanted.state)
    if wanted.recipient_id is not None:
        found = found.where(Notice.recipient_id == number_of(wanted.recipient_id, MAX_ID))
    if page.after is not None:
        found = found.where(Notice.id < position("delivery", page.after))
    rows = [NoticeRow(*row) for row in await session.execute(found.limit(page.first + 1))]
    return Rows.of(rows, page, lambda row: cursor("delivery", row.notice.id))
