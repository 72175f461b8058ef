"""Chats with the bot: who may say what there, and what they choose to be told."""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from db import invites, recipients
from db.alert_tables import Recipient
from domain.access import Caller
from domain.alerts import TELEGRAM
from domain.events import EventKind
from domain.quiet_hours import QuietHours
from resolvers.desk import Desk
from resolvers.recipients import dismiss

MAX_OWNERS = 1_000


async def meet_bot(desk: Desk, username: str) -> None:
    """Remembers how people find the bot."""
    async with desk.database.begin(own=True) as session:
        await invites.set_bot_name(session, username)


async def known_chat(desk: Desk, chat: str) -> Recipient | None:
    """None for a chat that nobody let in, or that was sent away."""
    async with desk.database.begin(own=True) as session:
        recipient = await recipients.find(session, TELEGRAM, chat)
        return recipient if recipients.is_let_in(recipient) else None


async def chat_moved(desk: Desk, chat: str, to: str) -> None:
    """A group has become a supergroup, which has another id."""
    async with desk.database.begin(own=True) as session:
        await recipients.redirect(session, TELEGRAM, chat, to)


async def greet_again(desk: Desk, chat: str, name: str | None, language: str) -> Recipient | None:
    """A chat that blocked the bot, or had not begun to talk to it, is told again."""
    async with _changed(desk, chat) as recipient:
        if recipient:
            recipient.off_reason, recipient.name, recipient.language = None, name, language
        return recipient


async def mute(desk: Desk, chat: str, until: datetime | None) -> None:
    """What happens meanwhile is told then. None: be told again."""
    async with _changed(desk, chat) as recipient:
        if recipient:
            recipient.muted_until = until


async def set_quiet_hours(desk: Desk, chat: str, hours: QuietHours | None) -> None:
    async with _changed(desk, chat) as recipient:
        if recipient:
            recipient.quiet_hours = hours
            if not recipient.attempts:
                recipient.next_send_at = datetime.now(UTC)


async def choose_kinds(
    desk: Desk, chat: str, choose: Callable[[Collection[EventKind] | None], Collection[EventKind]]
) -> Recipient | None:
    """`choose` makes the new choice of the present one (None: the usual kinds)."""
    async with _changed(desk, chat) as recipient:
        if recipient:
            kinds = recipient.kinds
            present = None if kinds is None else {EventKind(kind) for kind in kinds}
            recipient.kinds = sorted(choose(present))
        return recipient


async def choose_owner(desk: Desk, chat: str, owner_id: int | None) -> Recipient | None:
    """Adds the owner to those it hears of, or takes it away; None, and the last one: all."""
    async with _changed(desk, chat) as recipient:
        if recipient and owner_id is None:
            recipient.owner_ids = None
        elif recipient and owner_id is not None:
            recipient.owner_ids = sorted({*(recipient.owner_ids or ())} ^ {owner_id}) or None
        return recipient


async def owners_to_choose(desk: Desk) -> Sequence[tuple[int, str]]:
    """Id and name, by name; a thousand at most."""
    async with desk.database.begin(own=True) as session:
        return [(owner.id, owner.name) for owner in await recipients.owners(session, MAX_OWNERS)]


async def leave(desk: Desk, caller: Caller, chat: str) -> bool:
    """It is told nothing any more; False for one that the settings name."""
    async with desk.database.begin(own=True) as session:
        recipient = await recipients.find(session, TELEGRAM, chat, change=True)
        if recipient is None:
            return True
        if recipient.source == recipients.SETTINGS:
            return False
        await dismiss(session, caller, recipient)
        return True


@asynccontextmanager
async def _changed(desk: Desk, chat: str) -> AsyncIterator[Recipient | None]:
    async with desk.database.begin(own=True) as session:
        recipient = await recipients.find(session, TELEGRAM, chat, change=True)
        yield recipient if recipients.is_let_in(recipient) else None
