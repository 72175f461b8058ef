"""Queries and changes of tokens."""

from collections.abc import Collection
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, joinedload

from db.paging import Slice, cursor, position
from db.tables.devices import DeviceRow
from db.tables.requests import EnrolmentRequestRow
from db.tables.tokens import TokenRow
from domain.access.tokens import TokenKind, hash_token, new_token
from domain.inputs import Page
from domain.mqtt.accounts import mosquitto_hash

_LIVE = (
    TokenRow.revoked_at.is_(None),
    or_(TokenRow.expires_at.is_(None), TokenRow.expires_at > func.now()),
)


async def by_secret(session: AsyncSession, secret: str) -> TokenRow | None:
    found = select(TokenRow).where(TokenRow.hash == hash_token(secret))
    return (await session.scalars(found)).one_or_none()


async def page(
    session: AsyncSession, owner_id: int | None, kind: TokenKind | None, page: Page
) -> Slice[TokenRow]:
    """Return tokens in the order of creation.

    Without `kind`, device tokens are left out, because a fleet has one for each device.
    """
    wanted = select(TokenRow).options(joinedload(TokenRow.owner)).order_by(TokenRow.id)
    wanted = wanted.where(TokenRow.kind == kind if kind else TokenRow.kind != TokenKind.DEVICE)
    if page.after is not None:
        wanted = wanted.where(TokenRow.id > position("token", page.after))
    if owner_id is not None:
        wanted = wanted.where(_belongs_to(owner_id))
    found = (await session.scalars(wanted.limit(page.first + 1))).all()
    return Slice.of(found, page, lambda token: cursor("token", token.id))


def _belongs_to(owner_id: int) -> ColumnElement[bool]:
    """Pending tokens of foreign requests do not belong to the device's owner."""
    devices = select(DeviceRow.id).where(DeviceRow.owner_id == owner_id)
    foreign = select(EnrolmentRequestRow.id).where(
        EnrolmentRequestRow.token_id == TokenRow.id, EnrolmentRequestRow.foreign_owner
    )
    of_device = and_(TokenRow.device_id.in_(devices), ~foreign.exists())
    return or_(TokenRow.owner_id == owner_id, of_device)


async def device_of(session: AsyncSession, id: int) -> str | None:
    """Return the id of the device that the token belongs to."""
    found = select(TokenRow.device_id).where(TokenRow.id == id)
    return (await session.scalars(found)).one_or_none()


async def by_id(session: AsyncSession, owner_id: int | None, id: int) -> TokenRow | None:
    """Return a token and lock it. With `owner_id`, only a token of this owner or of its devices."""
    found = select(TokenRow).where(TokenRow.id == id).options(joinedload(TokenRow.owner))
    if owner_id is not None:
        found = found.where(_belongs_to(owner_id))
    return (await session.scalars(found.with_for_update(of=TokenRow))).one_or_none()


def issue_for_device(session: AsyncSession, device: DeviceRow, actor: str) -> str:
    """Add a new token and return its secret. The device's other tokens stay valid."""
    device.access_revision += 1
    secret = new_token(TokenKind.DEVICE)
    session.add(
        TokenRow(
            kind=TokenKind.DEVICE,
            hash=hash_token(secret),
            mqtt_hash=mosquitto_hash(secret),
            device_id=device.id,
            created_at=datetime.now(UTC),
            created_by=actor,
        )
    )
    return secret


async def delete_unused(session: AsyncSession, device: DeviceRow) -> None:
    """Delete tokens that were never used: the device did not receive the response.

    Pending tokens stay: they belong to open requests.
    """
    device.access_revision += 1
    await session.execute(
        delete(TokenRow).where(
            TokenRow.device_id == device.id,
            TokenRow.confirmed_at.is_(None),
            TokenRow.revoked_at.is_(None),
            TokenRow.waiting.is_(False),
        )
    )


async def valid_ids(session: AsyncSession, ids: Collection[int]) -> set[int]:
    """Return the ids of the tokens that are not revoked, expired or deleted."""
    return set(await session.scalars(select(TokenRow.id).where(TokenRow.id.in_(ids), *_LIVE)))


def has_valid_token(
    device_id: ColumnElement[str] | InstrumentedAttribute[str],
) -> ColumnElement[bool]:
    """Return an SQL condition: the device has a token that is valid and not pending."""
    return (
        select(TokenRow.id)
        .where(TokenRow.device_id == device_id, TokenRow.waiting.is_(False), *_LIVE)
        .exists()
    )


async def revoke_all(session: AsyncSession, device: DeviceRow) -> None:
    """Revoke the tokens of a device. Pending tokens stay: they belong to open requests."""
    device.access_revision += 1
    live = update(TokenRow).where(
        TokenRow.device_id == device.id, TokenRow.revoked_at.is_(None), TokenRow.waiting.is_(False)
    )
    await session.execute(live.values(revoked_at=datetime.now(UTC)))
