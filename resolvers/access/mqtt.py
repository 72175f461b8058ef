"""Who may connect to the broker, and what for: the same answer for every broker."""

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
    """The token's id; None where user name and password don't belong together, or to nobody.

    Devices connect by their id, administrators as `admin-` and the token's id, or, unless confined
    to an owner, as `admin`.
    Raises Unavailable.
    """
    try:
        caller = await authenticate(services, password)
    except Unauthenticated:
        return None
    return caller.token_id if username in _usernames(caller) else None


async def broker_rights(services: Services, token_ids: Collection[int]) -> Mapping[int, Rights]:
    """What the holders of some tokens may do now; those that may do nothing are left out."""
    async with services.database.transaction(background=True) as session:
        return await broker_accounts.rights(session, token_ids)


async def rights_of_user(services: Services, username: str) -> Rights | None:
    """What a user name stands for, whichever of its tokens it came with; None: for nobody."""
    async with services.database.transaction() as session:
        return await broker_accounts.rights_of_user(session, username)


async def broker_accounts_of(services: Services, server: Account | None) -> AsyncIterator[Account]:
    """All accounts, for a broker that keeps a list of them; `server`: this server's own."""
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
        own = f"{ADMIN_USER}-{caller.token_id}"
        # A broker may ask again by the name alone, which stands for the whole fleet.
        return (own,) if caller.owner_id is not None else (own, ADMIN_USER)
    return ()
