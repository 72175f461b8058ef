"""Tokens: found by hash, issued, revoked."""

from collections.abc import Collection
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, joinedload

from db.paging import Rows, cursor, position
from db.tables.devices import Device
from db.tables.tokens import Token
from domain.access.tokens import TokenKind, hash_secret, new_secret
from domain.inputs import Page
from domain.mqtt.accounts import mosquitto_hash

_LIVE = (
    Token.revoked_at.is_(None),
    or_(Token.expires_at.is_(None), Token.expires_at > func.now()),
)


async def by_secret(session: AsyncSession, secret: str) -> Token | None:
    found = select(Token).where(Token.hash == hash_secret(secret))
    return (await session.scalars(found)).one_or_none()


async def listed(
    session: AsyncSession, owner_id: int | None, kind: TokenKind | None, page: Page
) -> Rows[Token]:
    """By age. Devices' tokens only where they are asked for: a fleet has one for each device."""
    wanted = select(Token).options(joinedload(Token.owner)).order_by(Token.id)
    wanted = wanted.where(Token.kind == kind if kind else Token.kind != TokenKind.DEVICE)
    if page.after is not None:
        wanted = wanted.where(Token.id > position("token", page.after))
    if owner_id is not None:
        wanted = wanted.where(_belongs_to(owner_id))
    found = (await session.scalars(wanted.limit(page.first + 1))).all()
    return Rows.of(found, page, lambda token: cursor("token", token.id))


def _belongs_to(owner_id: int) -> ColumnElement[bool]:
    devices = select(Device.id).where(Device.owner_id == owner_id)
    return or_(Token.owner_id == owner_id, Token.device_id.in_(devices))


async def device_of(session: AsyncSession, id: int) -> str | None:
    """The device whose token it is."""
    found = select(Token.device_id).where(Token.id == id)
    return (await session.scalars(found)).one_or_none()


async def by_id(session: AsyncSession, owner_id: int | None, id: int) -> Token | None:
    """A token of an owner or its devices (any token where `owner_id` is None), to be changed."""
    found = select(Token).where(Token.id == id).options(joinedload(Token.owner))
    if owner_id is not None:
        found = found.where(_belongs_to(owner_id))
    return (await session.scalars(found.with_for_update(of=Token))).one_or_none()


def issue_for_device(
    session: AsyncSession, device: Device, issued_by: int | None, actor: str, *, waiting: bool
) -> str:
    """Returns the secret of a new token; what the device has works on."""
    device.access_revision += 1
    secret = new_secret(TokenKind.DEVICE)
    session.add(
        Token(
            kind=TokenKind.DEVICE,
            hash=hash_secret(secret),
            mqtt_hash=mosquitto_hash(secret),
            device_id=device.id,
            issued_by=issued_by,
            waiting=waiting,
            created_at=datetime.now(UTC),
            created_by=actor,
        )
    )
    return secret


async def unused_of(session: AsyncSession, device_id: str, *, waiting: bool) -> Token | None:
    """The token that was issued to a device last and has not been used yet."""
    unused = (
        select(Token)
        .where(Token.device_id == device_id, Token.waiting.is_(waiting))
        .where(Token.confirmed_at.is_(None), Token.revoked_at.is_(None))
    )
    return (await session.scalars(unused.order_by(Token.id.desc()).limit(1))).one_or_none()


async def forget_unused(session: AsyncSession, device: Device, *, waiting: bool) -> None:
    """Removes tokens that never served: whoever asked has lost the answer."""
    device.access_revision += 1
    await session.execute(
        delete(Token).where(
            Token.device_id == device.id,
            Token.confirmed_at.is_(None),
            Token.revoked_at.is_(None),
            Token.waiting.is_(waiting),
        )
    )


async def valid(session: AsyncSession, ids: Collection[int]) -> set[int]:
    """Those of the tokens that are neither revoked nor expired nor deleted."""
    return set(await session.scalars(select(Token.id).where(Token.id.in_(ids), *_LIVE)))


def holds(device_id: ColumnElement[str] | InstrumentedAttribute[str]) -> ColumnElement[bool]:
    """Whether a device has a token that it may use now."""
    return (
        select(Token.id)
        .where(Token.device_id == device_id, Token.waiting.is_(False), *_LIVE)
        .exists()
    )


async def revoke_all(session: AsyncSession, device: Device) -> None:
    device.access_revision += 1
    live = update(Token).where(Token.device_id == device.id, Token.revoked_at.is_(None))
    await session.execute(live.values(revoked_at=datetime.now(UTC)))
