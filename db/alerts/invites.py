"""Codes by which chats become recipients, and the bot that takes them."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload

from db.paging import Rows, cursor, position
from db.tables.alerts import Invite, TelegramBot
from domain.inputs import Page


async def by_hash(session: AsyncSession, hash: bytes) -> Invite | None:
    """To be used, by one at a time."""
    wanted = select(Invite).where(Invite.hash == hash).options(joinedload(Invite.owner))
    return (await session.scalars(wanted.with_for_update(of=Invite))).one_or_none()


async def by_id(session: AsyncSession, owner_id: int | None, id: int) -> Invite | None:
    """For this owner only, or any where `owner_id` is None; to be changed."""
    wanted = select(Invite).where(Invite.id == id).options(joinedload(Invite.owner))
    if owner_id is not None:
        wanted = wanted.where(Invite.owner_id == owner_id)
    return (await session.scalars(wanted.with_for_update(of=Invite))).one_or_none()


async def page(session: AsyncSession, owner_id: int | None, page: Page) -> Rows[Invite]:
    """The newest first."""
    wanted = select(Invite).options(joinedload(Invite.owner)).order_by(Invite.id.desc())
    if owner_id is not None:
        wanted = wanted.where(Invite.owner_id == owner_id)
    if page.after is not None:
        wanted = wanted.where(Invite.id < position("invite", page.after))
    found = (await session.scalars(wanted.limit(page.first + 1))).all()
    return Rows.of(found, page, lambda invite: cursor("invite", invite.id))


async def bot_name(session: AsyncSession) -> str | None:
    """None where no server has met a bot yet."""
    bot = await session.get(TelegramBot, 1)
    return bot.username if bot else None


async def set_bot_name(session: AsyncSession, username: str) -> None:
    row = insert(TelegramBot).values(id=1, username=username)
    await session.execute(
        row.on_conflict_do_update(index_elements=["id"], set_={"username": username})
    )
