"""MQTT logins and rights, the same for all supported brokers."""

from collections.abc import AsyncIterator, Collection, Mapping

from db.mqtt import accounts as broker_accounts
from domain.access.caller import Caller
from domain.access.tokens import TokenKind
from domain.errors import Unauthenticated
from domain.mqtt.accounts import Account
from domain.mqtt.rights import ADMIN_USER, Rights
from resolvers.access.authenticate import authenticate
from resolvers.services import Services


async def broker_login(services: Services, username: str, password: str) -> int | None:
    """Return the token's id; None if the password is no valid token, or not that of the user name.

    The user name of a device is its id, that of an administrator `admin-` and the token's id.
    Administrators of all owners may also use `admin`.
    Raises Unavailable.
    """
    try:
        caller = await authenticate(services, password)
    except Unauthenticated:
        return None
    return caller.token_id if username in _usernames(caller) else None


async def broker_rights(services: Services, token_ids: Collection[int]) -> Mapping[int, Rights]:
    """Return the current rights of some tokens. Tokens without rights are left out."""
    async with services.database.transaction(background=True) as session:
        return await broker_accounts.rights(session, token_ids)


async def rights_of_user(services: Services, username: str) -> Rights | None:
    """Return the rights of a user name, for any of its tokens; None if there is no such user."""
    async with services.database.transaction() as session:
        return await broker_accounts.rights_of_user(session, username)


async def broker_accounts_of(services: Services, server: Account | None) -> AsyncIterator[Account]:
    """Yield all accounts, for a broker with an account list. `server`: this server's account."""
    if server is not None:
        yield server
    async with services.database.transaction(background=True) as session:
        async for account in broker_accounts.all_accounts(session):
            yield account


def _usernames(caller: Caller) -> Collection[str]:
    if caller.waiting:
        return ()
    if caller.kind is TokenKind.DEVICE:
        return (caller.device_id,) if caller.device_id else ()
    if caller.kind is TokenKind.ADMIN:
        name = f"{ADMIN_USER}-{caller.token_id}"
        # A broker may later ask by the user name alone, and `admin` has rights for the whole fleet.
        return (name,) if caller.owner_id is not None else (name, ADMIN_USER)
    return ()
