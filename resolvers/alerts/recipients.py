"""Recipients as administrators see them, and what became of what they were to be told."""

from sqlalchemy.ext.asyncio import AsyncSession

from db.alerts import recipients
from db.events.record import record
from db.paging import Rows, number_of
from db.tables.alerts import MAX_ID, Recipient
from domain.access.caller import Action, Caller
from domain.errors import ErrorCode, InputError
from domain.events.kinds import EventKind
from domain.inputs import Page
from resolvers.alerts.invites import recipient_facts
from resolvers.services import Desk


async def list_recipients(desk: Desk, caller: Caller, page: Page) -> Rows[Recipient]:
    caller.require(Action.MANAGE_RECIPIENTS)
    async with desk.database.begin() as session:
        return await recipients.page(session, caller.owner_id, page)


async def remove_recipient(desk: Desk, caller: Caller, id: str) -> Recipient:
    """It is told nothing any more, and may do nothing."""
    caller.require(Action.MANAGE_RECIPIENTS)
    async with desk.database.begin() as session:
        recipient = await recipients.by_id(session, caller.owner_id, number_of(id, MAX_ID))
        if recipient is None:
            raise InputError.at("id", "There is no such recipient.", ErrorCode.NOT_FOUND)
        if recipient.source == recipients.SETTINGS and recipient.off_reason is None:
            raise InputError.at(
                "id",
                "The server's settings name this recipient: take it out there.",
                ErrorCode.CONFLICT,
            )
        await dismiss(session, caller, recipient)
        return recipient


async def dismiss(session: AsyncSession, caller: Caller, recipient: Recipient) -> None:
    await recipients.remove(session, recipient)
    record(
        session,
        EventKind.RECIPIENT_REMOVED,
        caller,
        owner_id=recipient.owner_id,
        before=recipient_facts(recipient),
    )
