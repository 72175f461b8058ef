"""Creates, lists and revokes tokens of people and enrolment keys."""

from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from db.access import tokens
from db.devices import queries as device_queries
from db.devices import requests
from db.events.record import record_event, token_facts
from db.mqtt.offline import set_offline_without_token
from db.paging import Slice, number_of
from db.tables.devices import OwnerRow
from db.tables.tokens import TokenRow
from domain.access.caller import Caller, Scope
from domain.access.inputs import NewToken
from domain.access.permissions import Action
from domain.access.tokens import TokenKind, hash_token, new_token
from domain.errors import ErrorCode, InputError
from domain.events.kinds import EventKind
from domain.inputs import Page
from domain.mqtt.accounts import mosquitto_hash
from resolvers.devices.topic_levels import owner_for
from resolvers.services import Services


async def create_token(
    services: Services, caller: Caller, wanted: NewToken
) -> tuple[TokenRow, str]:
    """Return the row and the token itself, which is not stored."""
    caller.require(Action.MANAGE_TOKENS)
    async with services.database.transaction() as session:
        has_owner = wanted.owner is not None or caller.owner_id is not None
        owner = await owner_for(session, caller, wanted.owner) if has_owner else None
        secret = new_token(wanted.kind)
        return await add_token(session, caller, wanted, owner, secret), secret


async def add_token(
    session: AsyncSession, caller: Caller, wanted: NewToken, owner: OwnerRow | None, secret: str
) -> TokenRow:
    token = TokenRow(
        kind=wanted.kind,
        hash=hash_token(secret),
        mqtt_hash=mosquitto_hash(secret) if wanted.kind is TokenKind.ADMIN else None,
        owner=owner,
        note=wanted.note or None,
        created_at=datetime.now(UTC),
        created_by=caller.actor,
        expires_at=wanted.expires_at,
        max_uses=wanted.max_uses,
        uses=0,
    )
    session.add(token)
    await session.flush()
    record_event(
        session,
        EventKind.TOKEN_CREATED,
        caller,
        owner_id=token.owner_id,
        after=token_facts(token),
    )
    return token


async def list_tokens(
    services: Services, caller: Caller, kind: TokenKind | None, page: Page
) -> Slice[TokenRow]:
    caller.require(Action.MANAGE_TOKENS)
    async with services.database.transaction() as session:
        return await tokens.page(session, caller.owner_id, kind, page)


async def revoke_token(services: Services, caller: Caller, id: str) -> TokenRow:
    """Revoke a token at once and permanently. Has no effect on a revoked token."""
    caller.require(Action.MANAGE_TOKENS)
    number = number_of(id)
    async with services.database.transaction() as session:
        # Lock order: a device before its tokens.
        device_id = await tokens.device_of(session, number)
        device = (
            await device_queries.find_for_update(session, Scope(), device_id) if device_id else None
        )
        token = await tokens.by_id(session, caller.owner_id, number)
        if token is None:
            raise InputError.at("id", "There is no such token.", ErrorCode.NOT_FOUND)
        if token.revoked_at is None:
            await _check_not_last(session, token)
            token.revoked_at = datetime.now(UTC)
            if device:
                device.access_revision += 1
                if token.waiting:
                    await requests.remove_of_token(session, device, token.id)
            if token.device_id:
                await session.flush()
                await set_offline_without_token(session, token.device_id)
            record_event(
                session,
                EventKind.TOKEN_REVOKED,
                caller,
                device=device,
                owner_id=token.owner_id,
                before=token_facts(token),
            )
        return token


async def _check_not_last(session: AsyncSession, token: TokenRow) -> None:
    if token.kind != TokenKind.ADMIN or token.owner_id is not None:
        return
    others = (
        select(func.count())
        .select_from(TokenRow)
        .where(
            TokenRow.kind == TokenKind.ADMIN,
            TokenRow.owner_id.is_(None),
            TokenRow.revoked_at.is_(None),
            TokenRow.id != token.id,
        )
    )
    if (await session.execute(others)).scalar_one() == 0:
        raise InputError.at(
            "id", "This is the last admin token: create another one first.", ErrorCode.CONFLICT
        )
