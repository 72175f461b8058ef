"""Codes by which chats become recipients, and the bot that takes them."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload

from db.alert_tables import Invite, TelegramBot


async def by_hash(session: AsyncSession, hash: bytes) -> Invite | None:
    """To be used, by one at a time."""
    wanted = select(Invite).where(Invite.hash == hash).options(joinedload(Invite.owner))
    return (await session.scalars(wanted.with_for_update(of=Invite))).one_or_none()


async def bot_name(session: AsyncSession) -> str | None:
    """None where no server has met a bot yet."""
    bot = await session.get(TelegramBot, 1)
    return bot.username if bot else None


async def set_bot_name(session: AsyncSession, username: str) -> None:
    row = insert(TelegramBot).values(id=1, username=username)
    await session.execute(
        row.on_conflict_do_update(index_elements=["id"], set_={"username": username})
    )
