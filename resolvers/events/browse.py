"""The event log as a list: who changed what, when, from what to what."""

from db.events import browse as event_pages
from db.paging import Slice
from domain.access.caller import Caller
from domain.access.permissions import Action
from domain.events.inputs import EventFilter
from domain.inputs import Page
from resolvers.feed.entries import AuditEvent, load_entries
from resolvers.services import Services


async def list_events(
    services: Services, caller: Caller, wanted: EventFilter, page: Page
) -> Slice[AuditEvent]:
    """Return the events that the caller can see, newest first."""
    caller.require(Action.READ_FLEET)
    async with services.database.transaction() as session:
        found = await event_pages.page(session, caller, wanted, page)
        subjects = await load_entries(session, found.rows)
    rows = [subjects[event.id].visible_to(caller) for event in found.rows]
    return Slice(rows, found.cursors, found.has_next, found.has_previous)
