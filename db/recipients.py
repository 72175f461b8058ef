"""Those who are told of events: found, listed, let in, sent away."""

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload

from db.alert_tables import Notice, Recipient
from db.paging import Rows, cursor, position
from db.tables import Event, Owner
from domain.alerts import Role
from domain.inputs import Page

SETTINGS = "settings"
NOT_IN_SETTINGS = "not in the settings any more"


async def find(
    session: AsyncSession, channel: str, address: str, *, change: bool = False
) -> Recipient | None:
    """With its owner. `change`: nobody else changes it before the transaction ends."""
    wanted = select(Recipient).where(Recipient.channel == channel, Recipient.address == address)
    wanted = wanted.options(joinedload(Recipient.owner))
    if change:
        # Not in the way of those who add something that it is to be told.
        wanted = wanted.with_for_update(of=Recipient, key_share=True)
    return (await session.scalars(wanted)).one_or_none()


async def by_id(session: AsyncSession, owner_id: int | None, id: int) -> Recipient | None:
    """One that is confined to this owner, or any where `owner_id` is None; to be changed."""
    wanted = select(Recipient).where(Recipient.id == id, *_confined(owner_id))
    locked = wanted.options(joinedload(Recipient.owner)).with_for_update(of=Recipient)
    return (await session.scalars(locked)).one_or_none()


async def page(session: AsyncSession, owner_id: int | None, page: Page) -> Rows[Recipient]:
    """In the order in which they came."""
    wanted = select(Recipient).where(*_confined(owner_id)).options(joinedload(Recipient.owner))
    if page.after is not None:
        wanted = wanted.where(Recipient.id > position("recipient", page.after))
    found = (await session.scalars(wanted.order_by(Recipient.id).limit(page.first + 1))).all()
    return Rows.of(found, page, lambda recipient: cursor("recipient", recipient.id))


async def forget_other_owners(session: AsyncSession, recipient: Recipient) -> None:
    """What waits for it, and is not about its owner."""
    others = select(Event.id).where(Event.owner_id.is_distinct_from(recipient.owner_id))
    waiting = (Notice.recipient_id == recipient.id, Notice.state == "waiting")
    await session.execute(delete(Notice).where(*waiting, Notice.event_id.in_(others)))


async def redirect(session: AsyncSession, channel: str, address: str, to: str) -> None:
    """It has another address by now; one that is told there already stays alone there."""
    recipient = await find(session, channel, address, change=True)
    if recipient is None:
        return
    if await find(session, channel, to) is None:
        recipient.address = to
    else:
        recipient.off_reason = f"its address is {to} now"


async def owners(session: AsyncSession, most: int) -> Sequence[Owner]:
    """The first so many by name, for whoever chooses among them."""
    return (await session.scalars(select(Owner).order_by(Owner.name_key).limit(most))).all()


def is_let_in(recipient: Recipient | None) -> bool:
    """Whether it may ask and do things: also one that gets nothing, since it blocks the bot."""
    return recipient is not None and recipient.off_reason != NOT_IN_SETTINGS


async def remove(session: AsyncSession, recipient: Recipient) -> None:
    """With all that waits for it."""
    await session.execute(delete(Recipient).where(Recipient.id == recipient.id))


async def set_from_settings(
    session: AsyncSession, channel: str, addresses: Collection[str], language: str
) -> None:
    """Those that the settings name are told always; those that they named before, not any more.

    The person behind a chat of their own is trusted like whoever made the settings; in a group
    there may be others. One that was let in before keeps what it may do, and hears of all.
    """
    for address in addresses:
        known = update(Recipient).where(
            Recipient.channel == channel, Recipient.configured_as == address
        )
        named = {"source": SETTINGS, "configured_as": address, "off_reason": None, "owner_id": None}
        if (await session.scalars(known.values(named).returning(Recipient.id))).first():
            continue
        role = Role.ADMIN if address.isdigit() else Role.VIEWER
        row = insert(Recipient).values(
            channel=channel, address=address, language=language, role=role, **named
        )
        if role is Role.ADMIN:
            named["role"] = role
        await session.execute(
            row.on_conflict_do_update(index_elements=["channel", "address"], set_=named)
        )
    gone = update(Recipient).where(
        Recipient.channel == channel,
        Recipient.source == SETTINGS,
        Recipient.configured_as.not_in(addresses),
    )
    await session.execute(gone.values(off_reason=NOT_IN_SETTINGS))


def _confined(owner_id: int | None) -> tuple[ColumnElement[bool], ...]:
    return () if owner_id is None else (Recipient.owner_id == owner_id,)
