"""The first admin token and enrolment key of a database."""

from datetime import UTC, datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from db.postgres.advisory_locks import Lock, lock
from db.postgres.database import Database
from db.tables.tokens import TokenRow
from domain.access.caller import system
from domain.access.inputs import NewToken
from domain.access.tokens import TokenKind, hash_token, new_token
from resolvers.access.tokens import add_token

FROM_ENVIRONMENT = "set by ROLLCALL_ADMIN_TOKEN"
SYSTEM = system("system")


async def first_tokens(database: Database, admin_token: str | None) -> dict[TokenKind, str]:
    """Create an admin token and an enrolment key if there never was one. Return the new secrets.

    `admin_token` from the environment is stored instead, and an earlier one of it is revoked.
    """
    async with database.transaction() as session:
        await lock(session, Lock.FIRST_TOKENS)
        if admin_token is not None:
            await _set_admin_token(session, admin_token)
        return {
            kind: await _create(session, kind, "made at the first start")
            for kind in (TokenKind.ADMIN, TokenKind.ENROL)
            if not await _exists(session, kind)
        }


async def _exists(session: AsyncSession, kind: TokenKind) -> bool:
    return (
        await session.scalars(select(TokenRow.id).where(TokenRow.kind == kind).limit(1))
    ).first() is not None


async def _create(session: AsyncSession, kind: TokenKind, note: str) -> str:
    secret = new_token(kind)
    await add_token(session, SYSTEM, NewToken(kind=kind, note=note), None, secret)
    return secret


async def _set_admin_token(session: AsyncSession, secret: str) -> None:
    earlier = update(TokenRow).where(
        TokenRow.note == FROM_ENVIRONMENT, TokenRow.hash != hash_token(secret)
    )
    await session.execute(
        earlier.where(TokenRow.revoked_at.is_(None)).values(revoked_at=datetime.now(UTC))
    )
    same = select(TokenRow.id).where(TokenRow.hash == hash_token(secret))
    if (await session.scalars(same)).first() is None:
        new = NewToken(kind=TokenKind.ADMIN, note=FROM_ENVIRONMENT)
        await add_token(session, SYSTEM, new, None, secret)
