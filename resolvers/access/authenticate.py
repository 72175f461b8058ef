"""From a token to a caller."""

import asyncio
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from db.access import tokens
from db.reads.reads import TokenRecord
from domain.access.caller import Caller
from domain.access.tokens import TokenKind, hash_secret
from domain.devices.changes import ConfirmToken
from domain.devices.device import DeviceRecord
from domain.errors import Unauthenticated
from domain.mqtt.accounts import mosquitto_hash
from resolvers.retry import until_written
from resolvers.services import Services

KINDS: Mapping[str, TokenKind] = {kind: kind for kind in TokenKind}
KNOWN_TO_BROKERS = (TokenKind.DEVICE, TokenKind.ADMIN)


class Credential(NamedTuple):
    """A secret that somebody has sent, and what is found of it; None: there is no such token."""

    secret: str | None
    token: "asyncio.Future[TokenRecord | None] | None"


NO_SECRET = Credential(None, None)


def look_up(services: Services, secret: str | None) -> Credential:
    """Looks it up, with all that others ask for at the same time.

    Raises Unavailable and Overloaded, as the future does.
    """
    if secret is None:
        return NO_SECRET
    return Credential(secret, services.reads.token(hash_secret(secret)))


async def authenticate(services: Services, secret: str | None) -> Caller:
    """Raises Unauthenticated for a token that is not, or not any more, valid.

    The first use of a device's token confirms it: from then on no other token of that device
    is valid, and its MAC address alone gets nobody a new one.
    """
    return (await identify(services, look_up(services, secret), None))[0]


async def identify(
    services: Services, credential: Credential, address: str | None
) -> tuple[Caller, DeviceRecord | None]:
    """As `authenticate`, from an address; with the device whose token it is, as it is now."""
    secret, found = credential
    if secret is None or found is None:
        return Caller(address=address), None
    await found
    return resolve_if_confirmed(services, credential, address) or await _confirmed(
        services, credential, address
    )


def resolve_if_confirmed(
    services: Services, credential: Credential, address: str | None
) -> tuple[Caller, DeviceRecord | None] | None:
    """As `identify`, once the token is found; None where something has to be noted of it."""
    if credential.token is None:
        return Caller(address=address), None
    token = credential.token.result()
    if token is None:
        raise Unauthenticated("This token is unknown.")
    device = token.kind == TokenKind.DEVICE
    first = device and not token.waiting and not token.confirmed
    if first or (not token.hashed and token.kind in KNOWN_TO_BROKERS):
        return None
    caller, own = _caller(token, address), token.device
    if own and not token.waiting:
        services.last_seen.note(own.id, own.last_seen_at)
    return caller, own


async def _confirmed(
    services: Services, credential: Credential, address: str | None
) -> tuple[Caller, DeviceRecord | None]:
    """As `recognized`, once the use is written of a token that is used for the first time, or was
    made when tokens were no passwords yet.
    """
    secret, looked_up = credential
    assert secret is not None  # noqa: S101
    assert looked_up is not None  # noqa: S101
    token = looked_up.result()
    assert token is not None  # noqa: S101
    if token.device_id is None:
        await _keep_password(services, secret, in_turn=False)
        return _caller(token, address), None
    seen: list[Credential] = [credential]

    async def attempt(session: AsyncSession | None) -> tuple[Caller, DeviceRecord | None] | None:
        now = seen.pop() if seen else look_up(services, secret)
        if now.token is not None:
            await now.token
        found = resolve_if_confirmed(services, now, address)
        if found or now.token is None:
            return found
        first = now.token.result()
        assert first is not None  # noqa: S101  `recognized` has looked
        caller = _caller(first, address)
        if first.waiting or first.confirmed:
            await _keep_password(services, secret, in_turn=session is not None)
            return caller, first.device
        write = _confirmation(first, secret, caller)
        return (
            (caller, first.device) if await services.writes.confirm_token(write, session) else None
        )

    return await until_written(services, token.device_id, attempt)


def _confirmation(token: TokenRecord, secret: str, caller: Caller) -> ConfirmToken:
    assert token.device_id is not None  # noqa: S101
    assert token.access_revision is not None  # noqa: S101  its device is there
    return ConfirmToken(
        token.device_id,
        token.access_revision,
        token.id,
        hash_secret(secret),
        None if token.hashed else mosquitto_hash(secret),
        datetime.now(UTC),
        caller.actor,
    )


async def _keep_password(services: Services, secret: str, *, in_turn: bool) -> None:
    """The token's secret as a password for a broker."""
    async with services.database.transaction(background=in_turn) as session:
        token = await tokens.by_secret(session, secret)
        if token is not None and token.mqtt_hash is None and token.kind in KNOWN_TO_BROKERS:
            token.mqtt_hash = mosquitto_hash(secret)


async def valid_tokens(services: Services, ids: Collection[int]) -> set[int]:
    """Those of some tokens, by id, that may still be used."""
    async with services.database.transaction(background=True) as session:
        return await tokens.valid(session, ids)


def _caller(token: TokenRecord, address: str | None) -> Caller:
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
