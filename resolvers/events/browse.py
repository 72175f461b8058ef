"""The audit log for people: who changed what, when, from what to what."""

from db.events import browse as audit
from db.paging import Rows
from domain.access.caller import Action, Caller
from domain.events.inputs import EventFilter
from domain.inputs import Page
from resolvers.feed.entries import AuditEvent, with_subjects
from resolvers.services import Desk


async def list_events(
    desk: Desk, caller: Caller, wanted: EventFilter, page: Page
) -> Rows[AuditEvent]:
    """The newest first, of what the caller can see."""
    caller.require(Action.READ_FLEET)
    async with desk.database.begin() as session:
        found = await audit.page(session, caller.scope, wanted, page)
        subjects = await with_subjects(session, found.rows)
    rows = [subjects[event.id].seen_by(caller) for event in found.rows]
    return Rows(rows, found.cursors, found.has_next, found.has_previous)
