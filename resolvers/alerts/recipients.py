"""Lists and removes recipients of alerts, for administrators."""

from sqlalchemy.ext.asyncio import AsyncSession

from db.alerts import recipients
from db.events.record import record_event
from db.paging import Slice, number_of
from db.tables.alerts import MAX_ID, RecipientRow
from domain.access.caller import Caller
from domain.access.permissions import Action
from domain.errors import ErrorCode, InputError
from domain.events.kinds import EventKind
from domain.inputs import Page
from resolvers.alerts.invites import recipient_facts
from resolvers.services import Services


async def list_recipients(services: Services, caller: Caller, page: Page) -> Slice[RecipientRow]:
    caller.require(Action.MANAGE_RECIPIENTS)
    async with services.database.transaction() as session:
        return await recipients.page(session, caller.owner_id, page)


async def remove_recipient(services: Services, caller: Caller, id: str) -> RecipientRow:
    """Remove a recipient: it gets no more alerts, and may do nothing."""
    caller.require(Action.MANAGE_RECIPIENTS)
    async with services.database.transaction() as session:
        recipient = await recipients.by_id(session, caller.owner_id, number_of(id, MAX_ID))
        if recipient is None:
            raise InputError.at("id", "There is no such recipient.", ErrorCode.NOT_FOUND)
        if recipient.source == recipients.SETTINGS and recipient.off_reason is None:
            raise InputError.at(
                "id",
                "This recipient is in the server's settings: remove it there.",
                ErrorCode.CONFLICT,
            )
        await remove(session, caller, recipient)
        return recipient


async def remove(session: AsyncSession, caller: Caller, recipient: RecipientRow) -> None:
    await recipients.remove(session, recipient)
    record_event(
        session,
        EventKind.RECIPIENT_REMOVED,
        caller,
        owner_id=recipient.owner_id,
        before=recipient_facts(recipient),
    )
