"""Those who are told of events: found, listed, let in, sent away."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, case, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession, async_object_session
from sqlalchemy.orm import joinedload

from db.alerts import missed as missed_alerts
from db.paging import Slice, cursor, position
from db.tables.alerts import DeliveryRow, RecipientRow
from db.tables.devices import OwnerRow
from db.tables.events import EventRow
from domain.alerts.recipients import TELEGRAM, Role
from domain.inputs import Page

SETTINGS = "settings"
NOT_IN_SETTINGS = "not in the settings any more"
# Of a recipient that takes messages again: what waits is due at once.
BACK: dict[str, Any] = {
    "off_reason": None,
    "away": False,
    "attempts": 0,
    "next_send_at": func.now(),
    "paused_at": func.now(),
}

DUE_IF_AWAY: dict[str, Any] = {
    "attempts": case((RecipientRow.away, 0), else_=RecipientRow.attempts),
    "next_send_at": case((RecipientRow.away, func.now()), else_=RecipientRow.next_send_at),
    "paused_at": case((RecipientRow.away, func.now()), else_=RecipientRow.paused_at),
}


async def find(
    session: AsyncSession, channel: str, address: str, *, change: bool = False
) -> RecipientRow | None:
    """With its owner. `change`: nobody else changes it before the transaction ends."""
    wanted = select(RecipientRow).where(
        RecipientRow.channel == channel, RecipientRow.address == address
    )
    wanted = wanted.options(joinedload(RecipientRow.owner))
    if change:
        # Not in the way of those who add something that it is to be told.
        wanted = wanted.with_for_update(of=RecipientRow, key_share=True)
    return (await session.scalars(wanted)).one_or_none()


async def find_chat(
    session: AsyncSession, chat: str, topic: int | None, *, change: bool = False
) -> RecipientRow | None:
    """The recipient for a topic of a Telegram group, else the one for the group itself."""
    if topic is not None:
        found = await find(session, TELEGRAM, f"{chat}:{topic}", change=change)
        if is_let_in(found):
            return found
    return await find(session, TELEGRAM, chat, change=change)


async def by_id(session: AsyncSession, owner_id: int | None, id: int) -> RecipientRow | None:
    """One that is confined to this owner, or any where `owner_id` is None; to be changed."""
    wanted = select(RecipientRow).where(RecipientRow.id == id, *_confined(owner_id))
    locked = wanted.options(joinedload(RecipientRow.owner)).with_for_update(of=RecipientRow)
    return (await session.scalars(locked)).one_or_none()


async def page(session: AsyncSession, owner_id: int | None, page: Page) -> Slice[RecipientRow]:
    """In the order in which they came."""
    wanted = (
        select(RecipientRow).where(*_confined(owner_id)).options(joinedload(RecipientRow.owner))
    )
    if page.after is not None:
        wanted = wanted.where(RecipientRow.id > position("recipient", page.after))
    found = (await session.scalars(wanted.order_by(RecipientRow.id).limit(page.first + 1))).all()
    return Slice.of(found, page, lambda recipient: cursor("recipient", recipient.id))


async def forget_other_owners(session: AsyncSession, recipient: RecipientRow) -> None:
    """What waits for it, and is not about its owner; and what it missed, of whatever owner."""
    await missed_alerts.forget(session, recipient.id)
    others = select(EventRow.id).where(EventRow.owner_id.is_distinct_from(recipient.owner_id))
    waiting = (DeliveryRow.recipient_id == recipient.id, DeliveryRow.state == "waiting")
    await session.execute(delete(DeliveryRow).where(*waiting, DeliveryRow.event_id.in_(others)))


async def redirect(session: AsyncSession, channel: str, address: str, to: str) -> None:
    """It has another address by now; one that is told there already stays alone there."""
    recipient = await find(session, channel, address, change=True)
    if recipient is None:
        return
    if await find(session, channel, to) is None:
        recipient.address = to
    else:
        recipient.off_reason = f"its address is {to} now"


async def redirect_group(session: AsyncSession, chat: str, to: str) -> None:
    """A group has another id by now: itself, and the topics of it that have a recipient."""
    for address in await _addresses(session, chat):
        await redirect(session, TELEGRAM, address, to + address.removeprefix(chat))


async def welcome(session: AsyncSession, chats: Collection[str]) -> None:
    """Something can be sent to these chats again: to them and to their topics."""
    mine = update(RecipientRow).where(
        RecipientRow.channel == TELEGRAM,
        func.split_part(func.lower(RecipientRow.address), ":", 1).in_([c.lower() for c in chats]),
        or_(RecipientRow.off_reason.is_(None), RecipientRow.away),
        or_(RecipientRow.away, RecipientRow.attempts > 0),
    )
    await session.execute(mine.values(**BACK))


async def make_due(recipient: RecipientRow) -> None:
    """What waits for it is sent at once, by the clock of the database."""
    session = async_object_session(recipient)
    assert session is not None  # noqa: S101
    now = (await session.execute(select(func.now()))).scalar_one()
    recipient.attempts, recipient.next_send_at, recipient.paused_at = 0, now, now


async def forget_topic(session: AsyncSession, id: int) -> None:
    """It takes nothing any more: alerts go to the group itself."""
    await session.execute(update(RecipientRow).where(RecipientRow.id == id).values(topic=None))


async def last_event(session: AsyncSession) -> int:
    """A recipient that is added now is told of what comes after this event."""
    return (await session.execute(select(func.coalesce(func.max(EventRow.id), 0)))).scalar_one()


async def owners(session: AsyncSession, most: int) -> Sequence[OwnerRow]:
    """The first so many by name, for whoever chooses among them."""
    return (await session.scalars(select(OwnerRow).order_by(OwnerRow.name_key).limit(most))).all()


def is_let_in(recipient: RecipientRow | None) -> bool:
    """Whether it may ask and do things: also one that gets nothing, since it blocks the bot."""
    return recipient is not None and recipient.off_reason != NOT_IN_SETTINGS


async def remove(session: AsyncSession, recipient: RecipientRow) -> None:
    """With all that waits for it."""
    await session.execute(delete(RecipientRow).where(RecipientRow.id == recipient.id))


async def set_from_settings(
    session: AsyncSession, channel: str, addresses: Collection[str], language: str
) -> None:
    """Those that the settings name are told always; those that they named before, not any more.

    The person behind a chat of their own is trusted like whoever made the settings; in a group
    there may be others. One that was let in before keeps what it may do, and hears of all.
    """
    since = await last_event(session)
    here = {"off_reason": None, "away": False, **DUE_IF_AWAY}
    for address in addresses:
        known = update(RecipientRow).where(
            RecipientRow.channel == channel, RecipientRow.configured_as == address
        )
        named = {"source": SETTINGS, "configured_as": address, "owner_id": None, **here}
        if (await session.scalars(known.values(named).returning(RecipientRow.id))).first():
            continue
        role = Role.ADMIN if address.partition(":")[0].isdigit() else Role.VIEWER
        new: dict[str, Any] = {
            "channel": channel,
            "address": address,
            "language": language,
            "role": role,
        }
        new |= {"source": SETTINGS, "configured_as": address, "since_event": since}
        row = insert(RecipientRow).values(new)
        if role is Role.ADMIN:
            named["role"] = role
        await session.execute(
            row.on_conflict_do_update(index_elements=["channel", "address"], set_=named)
        )
    gone = update(RecipientRow).where(
        RecipientRow.channel == channel,
        RecipientRow.source == SETTINGS,
        RecipientRow.configured_as.not_in(addresses),
    )
    await session.execute(gone.values(off_reason=NOT_IN_SETTINGS, away=False))


async def _addresses(session: AsyncSession, chat: str) -> Sequence[str]:
    """Of a Telegram chat and of its topics."""
    mine = func.split_part(RecipientRow.address, ":", 1) == chat
    found = select(RecipientRow.address).where(RecipientRow.channel == TELEGRAM, mine)
    return (await session.scalars(found.order_by(RecipientRow.id))).all()


def _confined(owner_id: int | None) -> tuple[ColumnElement[bool], ...]:
    return () if owner_id is None else (RecipientRow.owner_id == owner_id,)
