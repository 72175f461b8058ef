"""Those who are told of events: found, listed, let in, sent away."""

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload

from db.alert_tables import Recipient
from db.paging import Rows, cursor, position
from db.tables import Owner
from domain.alerts import Role
from domain.inputs import Page

SETTINGS = "settings"
NOT_IN_SETTINGS = "not in the settings any more"


async def told(session: AsyncSession) -> Sequence[Recipient]:
    """All who are told at all."""
    wanted = select(Recipient).where(Recipient.off_reason.is_(None)).order_by(Recipient.id)
    return (await session.scalars(wanted)).all()


async def find(session: AsyncSession, channel: str, address: str) -> Recipient | None:
    """To be changed, with its owner."""
    wanted = select(Recipient).where(Recipient.channel == channel, Recipient.address == address)
    locked = wanted.options(joinedload(Recipient.owner)).with_for_update(of=Recipient)
    return (await session.scalars(locked)).one_or_none()


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


async def owners(session: AsyncSession, most: int) -> Sequence[Owner]:
    """The first so many by name, for whoever chooses among them."""
    return (await session.scalars(select(Owner).order_by(Owner.name_key).limit(most))).all()


async def remove(session: AsyncSession, recipient: Recipient) -> None:
    """With all that waits for it."""
    await session.execute(delete(Recipient).where(Recipient.id == recipient.id))


async def set_from_settings(
    session: AsyncSession, channel: str, addresses: Collection[str], language: str
) -> None:
    """Those that the settings name are told always; those that they named before, not any more.

    The person behind a chat of their own is trusted like whoever made the settings; in a group
    there may be others.
    """
    for address in addresses:
        row = insert(Recipient).values(
            channel=channel,
            address=address,
            language=language,
            source=SETTINGS,
            role=Role.ADMIN if address.isdigit() else Role.VIEWER,
        )
        await session.execute(
            row.on_conflict_do_update(
                index_elements=["channel", "address"], set_={"off_reason": None}
            )
        )
    gone = update(Recipient).where(
        Recipient.channel == channel,
        Recipient.source == SETTINGS,
        Recipient.address.not_in(addresses),
    )
    await session.execute(gone.values(off_reason=NOT_IN_SETTINGS))


def _confined(owner_id: int | None) -> tuple[ColumnElement[bool], ...]:
    return () if owner_id is None else (Recipient.owner_id == owner_id,)
