"""Pages of deliveries, the newest first."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload

from db.paging import Slice, cursor, number_of, position
from db.tables.alerts import MAX_ID, DeliveryRow, RecipientRow
from db.tables.events import EventRow
from domain.alerts.inputs import DeliveryFilter
from domain.inputs import Page


@dataclass(frozen=True, slots=True)
class FoundDelivery:
    delivery: DeliveryRow
    recipient: RecipientRow
    event: EventRow | None


async def page(
    session: AsyncSession, owner_id: int | None, wanted: DeliveryFilter, page: Page
) -> Slice[FoundDelivery]:
    """Return deliveries. With `owner_id`, only those of this owner's recipients and events."""
    found = (
        select(DeliveryRow, RecipientRow, EventRow)
        .join(RecipientRow, RecipientRow.id == DeliveryRow.recipient_id)
        .outerjoin(EventRow, EventRow.id == DeliveryRow.event_id)
        .options(joinedload(RecipientRow.owner))
        .order_by(DeliveryRow.id.desc())
    )
    if owner_id is not None:
        found = found.where(RecipientRow.owner_id == owner_id, EventRow.owner_id == owner_id)
    if wanted.state is not None:
        found = found.where(DeliveryRow.state == wanted.state)
    if wanted.recipient_id is not None:
        found = found.where(DeliveryRow.recipient_id == number_of(wanted.recipient_id, MAX_ID))
    if page.after is not None:
        found = found.where(DeliveryRow.id < position("delivery", page.after))
    rows = [FoundDelivery(*row) for row in await session.execute(found.limit(page.first + 1))]
    return Slice.of(rows, page, lambda row: cursor("delivery", row.delivery.id))
