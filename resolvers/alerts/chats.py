"""Chats with the bot: who may say what there, and what they choose to be told."""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from db.alerts import deliveries, invites, recipients
from db.tables.alerts import RecipientRow
from domain.access.caller import Caller
from domain.alerts.quiet_hours import QuietHours
from domain.alerts.recipients import TELEGRAM
from domain.events.kinds import EventKind
from resolvers.alerts.recipients import remove
from resolvers.services import Services

MAX_OWNERS = 1_000
# What Telegram says of a group's General topic, where only administrators may write.
CLOSED = "TOPIC_CLOSED"


async def store_bot_name(services: Services, username: str) -> None:
    """Remembers how people find the bot."""
    async with services.database.transaction(background=True) as session:
        await invites.set_bot_name(session, username)


async def bot_met_before(services: Services) -> str | None:
    """The bot's name, as Telegram told it before; None if it never did."""
    async with services.database.transaction(background=True) as session:
        return await invites.bot_name(session)


async def known_chat(
    services: Services, chat: str, topic: int | None = None
) -> RecipientRow | None:
    """None for a chat that nobody let in, or that was sent away. A group whose General topic is
    closed gets its alerts in the topic in which it is heard from.
    """
    async with services.database.transaction(background=True) as session:
        recipient = await recipients.find_chat(session, chat, topic)
        if not recipients.is_let_in(recipient):
            return None
        if recipient and topic and recipient.address == chat and _closed(recipient):
            recipient.topic = topic
            await recipients.make_due(recipient)
        return recipient


async def chat_moved(services: Services, chat: str, to: str) -> None:
    """A group has become a supergroup, which has another id."""
    async with services.database.transaction(background=True) as session:
        await recipients.redirect_group(session, chat, to)


async def chat_is_back(services: Services, chat: str, username: str | None = None) -> None:
    """The bot may write there again: what waits and what was missed is sent at once."""
    async with services.database.transaction(background=True) as session:
        await recipients.welcome(session, [chat, *([f"@{username}"] if username else [])])


async def greet_again(
    services: Services, address: str, topic: int | None, name: str | None, language: str
) -> RecipientRow | None:
    """A chat that blocked the bot, or had not begun to talk to it, is told again: in this topic,
    unless its address names one.
    """
    async with _changed(services, address) as recipient:
        if recipient:
            recipient.name, recipient.language = name, language
            if ":" not in address:
                recipient.topic = topic
            await recipients.make_due(recipient)
        return recipient


async def mute(services: Services, address: str, span: timedelta | None) -> datetime | None:
    """What happens meanwhile is told then. None: be told again. Returns until when."""
    async with services.database.transaction(background=True) as session:
        recipient = await recipients.find(session, TELEGRAM, address, change=True)
        if recipient is None or not recipients.is_let_in(recipient):
            return None
        now = await deliveries.now(session)
        recipient.muted_until, recipient.muted_at = (now + span, now) if span else (None, None)
        return recipient.muted_until


async def set_quiet_hours(services: Services, address: str, hours: QuietHours | None) -> None:
    async with _changed(services, address) as recipient:
        if recipient:
            recipient.quiet_hours = hours
            if not recipient.attempts:
                await recipients.make_due(recipient)


async def choose_kinds(
    services: Services,
    address: str,
    choose: Callable[[Collection[EventKind] | None], Collection[EventKind]],
) -> RecipientRow | None:
    """`choose` makes the new choice of the present one (None: the usual kinds)."""
    async with _changed(services, address) as recipient:
        if recipient:
            kinds = recipient.kinds
            present = None if kinds is None else {EventKind(kind) for kind in kinds}
            recipient.kinds = sorted(choose(present))
        return recipient


async def choose_owner(
    services: Services, address: str, owner_id: int | None
) -> RecipientRow | None:
    """Adds the owner to those it hears of, or takes it away; None, and the last one: all."""
    async with _changed(services, address) as recipient:
        if recipient and owner_id is None:
            recipient.owner_ids = None
        elif recipient and owner_id is not None:
            recipient.owner_ids = sorted({*(recipient.owner_ids or ())} ^ {owner_id}) or None
        return recipient


async def owners_to_choose(services: Services) -> Sequence[tuple[int, str]]:
    """Id and name, by name; a thousand at most."""
    async with services.database.transaction(background=True) as session:
        return [(owner.id, owner.name) for owner in await recipients.owners(session, MAX_OWNERS)]


async def leave(services: Services, caller: Caller, address: str) -> bool:
    """It is told nothing any more; False for one that the settings name."""
    async with services.database.transaction(background=True) as session:
        recipient = await recipients.find(session, TELEGRAM, address, change=True)
        if recipient is None:
            return True
        if recipient.source == recipients.SETTINGS:
            return False
        await remove(session, caller, recipient)
        return True


@asynccontextmanager
async def _changed(services: Services, address: str) -> AsyncIterator[RecipientRow | None]:
    async with services.database.transaction(background=True) as session:
        recipient = await recipients.find(session, TELEGRAM, address, change=True)
        yield recipient if recipients.is_let_in(recipient) else None


def _closed(recipient: RecipientRow) -> bool:
    return recipient.topic is None and CLOSED in (recipient.last_error or "")
