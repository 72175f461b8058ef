"""What became of alerts, as administrators see it."""

from dataclasses import dataclass

from db.alerts import delivery_pages as delivery_list
from db.paging import Rows
from db.tables.alerts import Notice, Recipient
from domain.access.caller import Action, Caller
from domain.alerts.inputs import DeliveryFilter
from domain.inputs import Page
from resolvers.feed.entries import AuditEvent, with_subjects
from resolvers.services import Desk


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """`event` None: it was forgotten by age."""

    notice: Notice
    recipient: Recipient
    event: AuditEvent | None


async def list_deliveries(
    desk: Desk, caller: Caller, wanted: DeliveryFilter, page: Page
) -> Rows[DeliveryRow]:
    """The newest first."""
    caller.require(Action.MANAGE_RECIPIENTS)
    async with desk.database.begin() as session:
        found = await delivery_list.page(session, caller.owner_id, wanted, page)
        events = [row.event for row in found.rows if row.event]
        subjects = await with_subjects(session, events)
    rows = [
        DeliveryRow(
            row.notice,
            row.recipient,
            subjects[row.event.id].seen_by(caller) if row.event else None,
        )
        for row in found.rows
    ]
    return Rows(rows, found.cursors, found.has_next, found.has_previous)
