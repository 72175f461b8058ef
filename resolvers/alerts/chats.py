"""Telegram chats as recipients: their access, and their choice of alerts."""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from db.alerts import deliveries, invites, recipients
from db.tables.alerts import RecipientRow
from domain.access.caller import Caller
from domain.alerts.quiet_hours import QuietHours
from domain.alerts.recipients import TELEGRAM, recipient_caller
from domain.events.kinds import EventKind
from domain.events.visibility import kinds_for
from resolvers.alerts.recipients import remove
from resolvers.services import Services

MAX_OWNERS = 1_000
# Telegram's error for the General topic of a group where only administrators may write.
TOPIC_CLOSED = "TOPIC_CLOSED"


async def store_bot_name(services: Services, username: str) -> None:
    """Store the bot's user name, for links to it."""
    async with services.database.transaction(background=True) as session:
        await invites.set_bot_name(session, username)


async def load_bot_name(services: Services) -> str | None:
    """Return the stored user name of the bot; None if the server never connected to Telegram."""
    async with services.database.transaction(background=True) as session:
        return await invites.bot_name(session)


async def find_authorized_chat(
    services: Services, chat: str, topic: int | None = None
) -> RecipientRow | None:
    """Return the recipient of a chat; None if it was never authorized, or was removed.

    If the General topic of a group is closed, its alerts go to `topic`, where it now writes.
    """
    async with services.database.transaction(background=True) as session:
        recipient = await recipients.find_chat(session, chat, topic)
        if not recipients.is_authorized(recipient):
            return None
        if recipient and topic and recipient.address == chat and _general_topic_closed(recipient):
            recipient.topic = topic
            await recipients.make_due(recipient)
        return recipient


async def chat_moved(services: Services, chat: str, to: str) -> None:
    """Store the new id of a group that became a supergroup."""
    async with services.database.transaction(background=True) as session:
        await recipients.redirect_group(session, chat, to)


async def resume_chat(services: Services, chat: str, username: str | None = None) -> None:
    """Send pending and missed alerts at once: the bot may write in this chat again."""
    async with services.database.transaction(background=True) as session:
        await recipients.enable_chats(session, [chat, *([f"@{username}"] if username else [])])


async def reactivate_chat(
    services: Services, address: str, topic: int | None, name: str | None, language: str
) -> RecipientRow | None:
    """Send alerts again to a chat that blocked the bot or had not started it.

    They go to `topic`, unless the address has a topic.
    """
    async with _recipient_for_change(services, address) as recipient:
        if recipient:
            recipient.name, recipient.language = name, language
            if ":" not in address:
                recipient.topic = topic
            await recipients.make_due(recipient)
        return recipient


async def mute(services: Services, address: str, duration: timedelta | None) -> datetime | None:
    """Delay alerts for this time; None: send them again. Returns the end of the delay."""
    async with services.database.transaction(background=True) as session:
        recipient = await recipients.find(session, TELEGRAM, address, change=True)
        if recipient is None or not recipients.is_authorized(recipient):
            return None
        now = await deliveries.now(session)
        recipient.muted_until, recipient.muted_at = (
            (now + duration, now) if duration else (None, None)
        )
        return recipient.muted_until


async def set_quiet_hours(services: Services, address: str, hours: QuietHours | None) -> None:
    async with _recipient_for_change(services, address) as recipient:
        if recipient:
            recipient.quiet_hours = hours
            if not recipient.attempts:
                await recipients.make_due(recipient)


async def choose_kinds(
    services: Services,
    address: str,
    choose: Callable[[Collection[EventKind] | None], Collection[EventKind]],
) -> RecipientRow | None:
    """`choose` returns the new kinds for the current ones (None: the default kinds).

    Of these, the recipient gets those that it may see.
    """
    async with _recipient_for_change(services, address) as recipient:
        if recipient:
            kinds = recipient.kinds
            current = None if kinds is None else {EventKind(kind) for kind in kinds}
            caller = recipient_caller(recipient.role, recipient.owner_id)
            recipient.kinds = sorted(kinds_for(caller).intersection(choose(current)))
        return recipient


async def choose_owner(
    services: Services, address: str, owner_id: int | None
) -> RecipientRow | None:
    """Add an owner to the recipient's choice, or remove it. None, or removing the last: all."""
    async with _recipient_for_change(services, address) as recipient:
        if recipient and owner_id is None:
            recipient.owner_ids = None
        elif recipient and owner_id is not None:
            recipient.owner_ids = sorted({*(recipient.owner_ids or ())} ^ {owner_id}) or None
        return recipient


async def owners_to_choose(services: Services) -> Sequence[tuple[int, str]]:
    """Return id and name of up to MAX_OWNERS owners, sorted by name."""
    async with services.database.transaction(background=True) as session:
        return [(owner.id, owner.name) for owner in await recipients.owners(session, MAX_OWNERS)]


async def leave(services: Services, caller: Caller, address: str) -> bool:
    """Remove a recipient. Returns False if it is in the settings, which have to change instead."""
    async with services.database.transaction(background=True) as session:
        recipient = await recipients.find(session, TELEGRAM, address, change=True)
        if recipient is None:
            return True
        if recipient.source == recipients.SETTINGS:
            return False
        await remove(session, caller, recipient)
        return True


@asynccontextmanager
async def _recipient_for_change(
    services: Services, address: str
) -> AsyncIterator[RecipientRow | None]:
    async with services.database.transaction(background=True) as session:
        recipient = await recipients.find(session, TELEGRAM, address, change=True)
        yield recipient if recipients.is_authorized(recipient) else None


def _general_topic_closed(recipient: RecipientRow) -> bool:
    return recipient.topic is None and TOPIC_CLOSED in (recipient.last_error or "")
