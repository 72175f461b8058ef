"""From a token to a caller."""

import asyncio
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from db.access import tokens
from db.devices import queries as devices
from db.events.record import record
from db.reads.reads import TokenView
from db.tables.tokens import Token
from domain.access.caller import Caller, Scope
from domain.access.tokens import TokenKind, hash_secret
from domain.devices.device import DeviceView
from domain.errors import Unauthenticated
from domain.events.kinds import EventKind
from domain.mqtt.accounts import mosquitto_hash
from resolvers.services import Desk

KINDS: Mapping[str, TokenKind] = {kind: kind for kind in TokenKind}
KNOWN_TO_BROKERS = (TokenKind.DEVICE, TokenKind.ADMIN)


class Presented(NamedTuple):
    """A secret that somebody has sent, and what is found of it; None: there is no such token."""

    secret: str | None
    token: "asyncio.Future[TokenView | None] | None"


NO_SECRET = Presented(None, None)


def present(desk: Desk, secret: str | None) -> Presented:
    """Looks it up, with all that others ask for at the same time.

    Raises Unavailable and Overloaded, as the future does.
    """
    if secret is None:
        return NO_SECRET
    return Presented(secret, desk.reader.token(hash_secret(secret)))


async def authenticate(desk: Desk, secret: str | None) -> Caller:
    """Raises Unauthenticated for a token that is not, or not any more, valid.

    The first use of a device's token confirms it: from then on no other token of that device
    is valid, and its MAC address alone gets nobody a new one.
    """
    return (await identify(desk, present(desk, secret), None))[0]


async def identify(
    desk: Desk, presented: Presented, address: str | None
) -> tuple[Caller, DeviceView | None]:
    """As `authenticate`, from an address; with the device whose token it is, as it is now."""
    secret, found = presented
    if secret is None or found is None:
        return Caller(address=address), None
    await found
    return recognized(desk, presented, address) or (await _noted(desk, secret, address), None)


def recognized(
    desk: Desk, presented: Presented, address: str | None
) -> tuple[Caller, DeviceView | None] | None:
    """As `identify`, once the token is found; None where something has to be noted of it."""
    if presented.token is None:
        return Caller(address=address), None
    token = presented.token.result()
    if token is None:
        raise Unauthenticated("This token is unknown.")
    device = token.kind == TokenKind.DEVICE
    first = device and not token.waiting and not token.confirmed
    if first or (not token.hashed and token.kind in KNOWN_TO_BROKERS):
        return None
    caller, own = _caller(token, address), token.device
    if own and not token.waiting:
        desk.sightings.note(own.id, own.last_seen_at)
    return caller, own


async def _noted(desk: Desk, secret: str, address: str | None) -> Caller:
    """The token is used for the first time, or was made when tokens were no passwords yet."""
    async with desk.database.begin() as session:
        token = await tokens.by_secret(session, secret)
        if token is None:
            raise Unauthenticated("This token is unknown.")
        caller = _caller(_view(token), address)
        if token.mqtt_hash is None and token.kind in KNOWN_TO_BROKERS:
            token.mqtt_hash = mosquitto_hash(secret)
        if token.kind == TokenKind.DEVICE and not token.waiting and token.confirmed_at is None:
            await _confirm(session, token, hash_secret(secret), caller)
        return caller


async def valid_tokens(desk: Desk, ids: Collection[int]) -> set[int]:
    """Those of some tokens, by id, that may still be used."""
    async with desk.database.begin(own=True) as session:
        return await tokens.valid(session, ids)


def _view(token: Token) -> TokenView:
    return TokenView(
        None,
        token.id,
        token.kind,
        token.owner_id,
        token.device_id,
        token.waiting,
        token.max_uses,
        revoked=token.revoked_at is not None,
        expired=token.expires_at is not None and token.expires_at <= datetime.now(UTC),
        confirmed=token.confirmed_at is not None,
        hashed=token.mqtt_hash is not None,
    )


def _caller(token: TokenView, address: str | None) -> Caller:
    if token.revoked:
        raise Unauthenticated("This token was revoked.")
    if token.expired:
        raise Unauthenticated("This token has expired.")
    return Caller(
        KINDS[token.kind],
        token.id,
        token.owner_id,
        token.device_id,
        waiting=token.waiting,
        max_uses=token.max_uses,
        address=address,
    )


async def _confirm(session: AsyncSession, found: Token, hash: bytes, caller: Caller) -> None:
    assert found.device_id is not None  # noqa: S101
    device = await devices.find_for_update(session, Scope(), found.device_id)
    token = await session.get(Token, found.id, populate_existing=True)
    if token is None or token.hash != hash:
        # The device has asked for another one meanwhile.
        raise Unauthenticated("This token is unknown.")
    if device is None or token.revoked_at is not None:
        raise Unauthenticated("This token was revoked.")
    if token.confirmed_at is None:
        now = datetime.now(UTC)
        token.confirmed_at = device.confirmed_at = now
        if await tokens.supersede(session, device.id, token.id) and device.online:
            # The broker ends the session of the other token, maybe without its will.
            device.online, device.status_at = False, now
        record(session, EventKind.TOKEN_CONFIRMED, caller, device=device)
