"""Invites by which chats become recipients, and the user name of the bot."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload

from db.paging import Slice, cursor, position
from db.tables.alerts import InviteRow, TelegramBotRow
from domain.inputs import Page


async def by_hash(session: AsyncSession, hash: bytes) -> InviteRow | None:
    """Return an invite and lock it, so that only one transaction uses it."""
    wanted = select(InviteRow).where(InviteRow.hash == hash).options(joinedload(InviteRow.owner))
    return (await session.scalars(wanted.with_for_update(of=InviteRow))).one_or_none()


async def by_id(session: AsyncSession, owner_id: int | None, id: int) -> InviteRow | None:
    """Return an invite and lock it. With `owner_id`, only an invite of this owner."""
    wanted = select(InviteRow).where(InviteRow.id == id).options(joinedload(InviteRow.owner))
    if owner_id is not None:
        wanted = wanted.where(InviteRow.owner_id == owner_id)
    return (await session.scalars(wanted.with_for_update(of=InviteRow))).one_or_none()


async def page(session: AsyncSession, owner_id: int | None, page: Page) -> Slice[InviteRow]:
    """Return invites, the newest first. With `owner_id`, only invites of this owner."""
    wanted = select(InviteRow).options(joinedload(InviteRow.owner)).order_by(InviteRow.id.desc())
    if owner_id is not None:
        wanted = wanted.where(InviteRow.owner_id == owner_id)
    if page.after is not None:
        wanted = wanted.where(InviteRow.id < position("invite", page.after))
    found = (await session.scalars(wanted.limit(page.first + 1))).all()
    return Slice.of(found, page, lambda invite: cursor("invite", invite.id))


async def bot_name(session: AsyncSession) -> str | None:
    """Return the user name of the bot; None if no server has connected to one yet."""
    bot = await session.get(TelegramBotRow, 1)
    return bot.username if bot else None


async def set_bot_name(session: AsyncSession, username: str) -> None:
    row = insert(TelegramBotRow).values(id=1, username=username)
    await session.execute(
        row.on_conflict_do_update(index_elements=["id"], set_={"username": username})
    )
