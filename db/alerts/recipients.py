"""Queries and changes of the recipients of alerts."""

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
# Stored in `off_reason` and compared with it.
NOT_IN_SETTINGS = "not in the settings any more"
# For a recipient that accepts messages again. Its pending alerts are due now.
ENABLED: dict[str, Any] = {
    "off_reason": None,
    "away": False,
    "attempts": 0,
    "next_send_at": func.now(),
    "paused_at": func.now(),
}
# Pending alerts of a recipient that was away are due now.
DUE_IF_AWAY: dict[str, Any] = {
    "attempts": case((RecipientRow.away, 0), else_=RecipientRow.attempts),
    "next_send_at": case((RecipientRow.away, func.now()), else_=RecipientRow.next_send_at),
    "paused_at": case((RecipientRow.away, func.now()), else_=RecipientRow.paused_at),
}


async def find(
    session: AsyncSession, channel: str, address: str, *, change: bool = False
) -> RecipientRow | None:
    """Return a recipient with its owner. `change`: lock it until the transaction ends."""
    wanted = select(RecipientRow).where(
        RecipientRow.channel == channel, RecipientRow.address == address
    )
    wanted = wanted.options(joinedload(RecipientRow.owner))
    if change:
        # FOR NO KEY UPDATE, so that fan-out can add deliveries meanwhile.
        wanted = wanted.with_for_update(of=RecipientRow, key_share=True)
    return (await session.scalars(wanted)).one_or_none()


async def find_chat(
    session: AsyncSession, chat: str, topic: int | None, *, change: bool = False
) -> RecipientRow | None:
    """Return the recipient for a topic of a Telegram group, else the one for the group itself."""
    if topic is not None:
        found = await find(session, TELEGRAM, f"{chat}:{topic}", change=change)
        if is_authorized(found):
            return found
    return await find(session, TELEGRAM, chat, change=change)


async def by_id(session: AsyncSession, owner_id: int | None, id: int) -> RecipientRow | None:
    """Return a recipient and lock it. With `owner_id`, only a recipient of this owner."""
    wanted = select(RecipientRow).where(RecipientRow.id == id, *_of_owner(owner_id))
    locked = wanted.options(joinedload(RecipientRow.owner)).with_for_update(of=RecipientRow)
    return (await session.scalars(locked)).one_or_none()


async def page(session: AsyncSession, owner_id: int | None, page: Page) -> Slice[RecipientRow]:
    """Return recipients in the order of creation. With `owner_id`, only those of this owner."""
    wanted = (
        select(RecipientRow).where(*_of_owner(owner_id)).options(joinedload(RecipientRow.owner))
    )
    if page.after is not None:
        wanted = wanted.where(RecipientRow.id > position("recipient", page.after))
    found = (await session.scalars(wanted.order_by(RecipientRow.id).limit(page.first + 1))).all()
    return Slice.of(found, page, lambda recipient: cursor("recipient", recipient.id))


async def delete_other_owners_alerts(session: AsyncSession, recipient: RecipientRow) -> None:
    """Delete pending alerts that are not about the recipient's owner, and all missed counts."""
    await missed_alerts.delete_all(session, recipient.id)
    others = select(EventRow.id).where(EventRow.owner_id.is_distinct_from(recipient.owner_id))
    pending = (DeliveryRow.recipient_id == recipient.id, DeliveryRow.state == "waiting")
    await session.execute(delete(DeliveryRow).where(*pending, DeliveryRow.event_id.in_(others)))


async def redirect(session: AsyncSession, channel: str, address: str, to: str) -> None:
    """Change a recipient's address. Disable it if another recipient has the new address already."""
    recipient = await find(session, channel, address, change=True)
    if recipient is None:
        return
    if await find(session, channel, to) is None:
        recipient.address = to
    else:
        recipient.off_reason = f"its address is {to} now"


async def redirect_group(session: AsyncSession, chat: str, to: str) -> None:
    """Change the addresses of a group's recipients, because the group has a new chat id."""
    for address in await _addresses(session, chat):
        await redirect(session, TELEGRAM, address, to + address.removeprefix(chat))


async def enable_chats(session: AsyncSession, chats: Collection[str]) -> None:
    """Enable the recipients of these chats and their topics, and make their alerts due now."""
    statement = update(RecipientRow).where(
        RecipientRow.channel == TELEGRAM,
        func.split_part(func.lower(RecipientRow.address), ":", 1).in_([c.lower() for c in chats]),
        or_(RecipientRow.off_reason.is_(None), RecipientRow.away),
        or_(RecipientRow.away, RecipientRow.attempts > 0),
    )
    await session.execute(statement.values(**ENABLED))


async def make_due(recipient: RecipientRow) -> None:
    """Make pending alerts due now, by the database's clock."""
    session = async_object_session(recipient)
    assert session is not None  # noqa: S101
    now = (await session.execute(select(func.now()))).scalar_one()
    recipient.attempts, recipient.next_send_at, recipient.paused_at = 0, now, now


async def clear_topic(session: AsyncSession, id: int) -> None:
    """Send alerts to the group itself, because its topic no longer accepts messages."""
    await session.execute(update(RecipientRow).where(RecipientRow.id == id).values(topic=None))


async def last_event(session: AsyncSession) -> int:
    """Return the id of the last event. A recipient that is added now gets only later ones."""
    return (await session.execute(select(func.coalesce(func.max(EventRow.id), 0)))).scalar_one()


async def owners(session: AsyncSession, limit: int) -> Sequence[OwnerRow]:
    """Return owners in the order of their names, for a selection."""
    return (await session.scalars(select(OwnerRow).order_by(OwnerRow.name_key).limit(limit))).all()


def is_authorized(recipient: RecipientRow | None) -> bool:
    """Return True if the recipient may use commands. This includes one that blocked the bot."""
    return recipient is not None and recipient.off_reason != NOT_IN_SETTINGS


async def remove(session: AsyncSession, recipient: RecipientRow) -> None:
    """Delete a recipient with its deliveries."""
    await session.execute(delete(RecipientRow).where(RecipientRow.id == recipient.id))


async def set_from_settings(
    session: AsyncSession, channel: str, addresses: Collection[str], language: str
) -> None:
    """Enable the recipients in the settings, and disable those that the settings no longer name.

    A private chat, a webhook and the log get the admin role, because the operator added them. A
    group gets the viewer role, because it may have other members; an existing group keeps its role.
    No recipient in the settings is limited to an owner.
    """
    since = await last_event(session)
    enabled: dict[str, Any] = {"off_reason": None, "away": False, **DUE_IF_AWAY}
    if channel != TELEGRAM:
        enabled["role"] = Role.ADMIN
    for address in addresses:
        statement = update(RecipientRow).where(
            RecipientRow.channel == channel, RecipientRow.configured_as == address
        )
        values = {"source": SETTINGS, "configured_as": address, "owner_id": None, **enabled}
        if (await session.scalars(statement.values(values).returning(RecipientRow.id))).first():
            continue
        is_group = channel == TELEGRAM and not address.partition(":")[0].isdigit()
        role = Role.VIEWER if is_group else Role.ADMIN
        new: dict[str, Any] = {
            "channel": channel,
            "address": address,
            "language": language,
            "role": role,
        }
        new |= {"source": SETTINGS, "configured_as": address, "since_event": since}
        row = insert(RecipientRow).values(new)
        if role is Role.ADMIN:
            values["role"] = role
        await session.execute(
            row.on_conflict_do_update(index_elements=["channel", "address"], set_=values)
        )
    removed = update(RecipientRow).where(
        RecipientRow.channel == channel,
        RecipientRow.source == SETTINGS,
        RecipientRow.configured_as.not_in(addresses),
    )
    await session.execute(removed.values(off_reason=NOT_IN_SETTINGS, away=False))


async def _addresses(session: AsyncSession, chat: str) -> Sequence[str]:
    """Return the recipient addresses of a Telegram chat and of its topics."""
    same_chat = func.split_part(RecipientRow.address, ":", 1) == chat
    found = select(RecipientRow.address).where(RecipientRow.channel == TELEGRAM, same_chat)
    return (await session.scalars(found.order_by(RecipientRow.id))).all()


def _of_owner(owner_id: int | None) -> tuple[ColumnElement[bool], ...]:
    return () if owner_id is None else (RecipientRow.owner_id == owner_id,)
