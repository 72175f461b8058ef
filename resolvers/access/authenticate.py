"""Authentication: from the token of a request to its caller."""

import asyncio
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from db.access import tokens
from db.reads.reads import TokenRecord
from domain.access.caller import Caller
from domain.access.tokens import TokenKind, hash_token
from domain.devices.device import DeviceRecord
from domain.devices.writes import ConfirmToken
from domain.errors import Unauthenticated
from domain.mqtt.accounts import mosquitto_hash
from resolvers.retry import until_written
from resolvers.services import Services

KINDS: Mapping[str, TokenKind] = {kind: kind for kind in TokenKind}
# Kinds whose tokens are MQTT passwords, too.
MQTT_KINDS = (TokenKind.DEVICE, TokenKind.ADMIN)


class Credential(NamedTuple):
    """The token of a request (`secret`) and the lookup of its record. Both None: no token was sent.

    The result of the lookup is None if the token is unknown.
    """

    secret: str | None
    token: "asyncio.Future[TokenRecord | None] | None"


NO_CREDENTIAL = Credential(None, None)


def look_up(services: Services, secret: str | None) -> Credential:
    """Start the lookup of a token, in one batch with concurrent requests.

    Raises Unavailable and Overloaded, as does the lookup.
    """
    if secret is None:
        return NO_CREDENTIAL
    return Credential(secret, services.reads.token(hash_token(secret)))


async def authenticate(services: Services, secret: str | None) -> Caller:
    """Return the caller. Raises Unauthenticated if the token is unknown, revoked or expired.

    The first use of a device's token confirms it. From then on, no other token of that device is
    valid, and knowing its MAC address is not enough to get a new one.
    """
    return (await identify(services, look_up(services, secret), None))[0]


async def identify(
    services: Services, credential: Credential, address: str | None
) -> tuple[Caller, DeviceRecord | None]:
    """Like `authenticate`, for a client's address. Returns the device of the token, too.

    The device is as it was when the token was looked up.
    """
    secret, lookup = credential
    if secret is None or lookup is None:
        return Caller(address=address), None
    await lookup
    return resolve_if_confirmed(services, credential, address) or await _confirm_and_resolve(
        services, credential, address
    )


def resolve_if_confirmed(
    services: Services, credential: Credential, address: str | None
) -> tuple[Caller, DeviceRecord | None] | None:
    """Like `identify`, after the lookup. Returns None if this use of the token must be written."""
    if credential.token is None:
        return Caller(address=address), None
    token = credential.token.result()
    if token is None:
        raise Unauthenticated("This token is unknown.")
    is_device = token.kind == TokenKind.DEVICE
    first_use = is_device and not token.waiting and not token.confirmed
    if first_use or (not token.hashed and token.kind in MQTT_KINDS):
        return None
    caller, device = _caller(token, address), token.device
    if device and not token.waiting:
        services.last_seen.add(device.id, device.last_seen_at)
    return caller, device


async def _confirm_and_resolve(
    services: Services, credential: Credential, address: str | None
) -> tuple[Caller, DeviceRecord | None]:
    """Write the first use of a token, or its missing MQTT hash, then resolve the caller.

    Tokens lack the MQTT hash if they are older than MQTT passwords.
    """
    secret, lookup = credential
    assert secret is not None  # noqa: S101
    assert lookup is not None  # noqa: S101
    token = lookup.result()
    assert token is not None  # noqa: S101
    if token.device_id is None:
        await _store_mqtt_hash(services, secret, background=False)
        return _caller(token, address), None
    unused: list[Credential] = [credential]

    async def attempt(session: AsyncSession | None) -> tuple[Caller, DeviceRecord | None] | None:
        current = unused.pop() if unused else look_up(services, secret)
        if current.token is not None:
            await current.token
        found = resolve_if_confirmed(services, current, address)
        if found or current.token is None:
            return found
        record = current.token.result()
        assert record is not None  # noqa: S101  else `resolve_if_confirmed` has raised
        caller = _caller(record, address)
        if record.waiting or record.confirmed:
            await _store_mqtt_hash(services, secret, background=session is not None)
            return caller, record.device
        write = _confirmation(record, secret, caller)
        return (
            (caller, record.device) if await services.writes.confirm_token(write, session) else None
        )

    return await until_written(services, token.device_id, attempt)


def _confirmation(token: TokenRecord, secret: str, caller: Caller) -> ConfirmToken:
    assert token.device_id is not None  # noqa: S101
    assert token.access_revision is not None  # noqa: S101  it has a device
    return ConfirmToken(
        token.device_id,
        token.access_revision,
        token.id,
        hash_token(secret),
        None if token.hashed else mosquitto_hash(secret),
        datetime.now(UTC),
        caller.actor,
    )


async def _store_mqtt_hash(services: Services, secret: str, *, background: bool) -> None:
    """Store the hash that makes the token an MQTT password.

    `background`: use the background pool, because the request has a connection already.
    """
    async with services.database.transaction(background=background) as session:
        token = await tokens.by_secret(session, secret)
        if token is not None and token.mqtt_hash is None and token.kind in MQTT_KINDS:
            token.mqtt_hash = mosquitto_hash(secret)


async def valid_tokens(services: Services, ids: Collection[int]) -> set[int]:
    """Return those of the ids whose tokens are still valid."""
    async with services.database.transaction(background=True) as session:
        return await tokens.valid_ids(session, ids)


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
