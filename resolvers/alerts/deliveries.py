"""Deliveries of alerts, for administrators."""

from dataclasses import dataclass

from db.alerts import delivery_pages
from db.paging import Slice
from db.tables.alerts import DeliveryRow, RecipientRow
from domain.access.caller import Caller
from domain.access.permissions import Action
from domain.alerts.inputs import DeliveryFilter
from domain.inputs import Page
from resolvers.feed.entries import AuditEvent, load_entries
from resolvers.services import Services


@dataclass(frozen=True, slots=True)
class ListedDelivery:
    """`event` None: it was deleted by retention."""

    delivery: DeliveryRow
    recipient: RecipientRow
    event: AuditEvent | None


async def list_deliveries(
    services: Services, caller: Caller, wanted: DeliveryFilter, page: Page
) -> Slice[ListedDelivery]:
    """Return the deliveries that match the filter, newest first."""
    caller.require(Action.MANAGE_RECIPIENTS)
    async with services.database.transaction() as session:
        found = await delivery_pages.page(session, caller.owner_id, wanted, page)
        events = [row.event for row in found.rows if row.event]
        subjects = await load_entries(session, events)
    rows = [
        ListedDelivery(
            row.delivery,
            row.recipient,
            subjects[row.event.id].visible_to(caller) if row.event else None,
        )
        for row in found.rows
    ]
    return Slice(rows, found.cursors, found.has_next, found.has_previous)
