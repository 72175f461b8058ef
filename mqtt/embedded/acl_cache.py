"""Cached rights of connected clients."""

import asyncio
from collections.abc import Collection

from domain.errors import Unavailable
from mqtt.auth.authenticator import Authenticator
from mqtt.embedded.client import Client

# Seconds between two database look-ups for a client that is refused repeatedly.
LOOKUP_SECONDS = 1


class AclCache:
    def __init__(self, access: Authenticator) -> None:
        self._access = access

    async def may_publish(self, client: Client, topic: str) -> bool:
        if client.rights.may_publish(topic):
            return True
        return await self._refreshed(client) and client.rights.may_publish(topic)

    async def may_subscribe(self, client: Client, filter: str) -> bool:
        if client.rights.may_subscribe(filter):
            return True
        return await self._refreshed(client) and client.rights.may_subscribe(filter)

    async def recheck(self, clients: Collection[Client]) -> None:
        """Read the rights of all clients in one query. Disconnect clients that have none.

        While the database is unavailable, the cached rights stay valid.
        """
        checked = [client for client in clients if client.login.token_id is not None]
        if not checked:
            return
        try:
            rights = await self._access.rights({client.login for client in checked})
        except Unavailable:
            return
        for client in checked:
            if client.login in rights:
                client.rights = rights[client.login]
            else:
                client.stream.abort()

    async def _refreshed(self, client: Client) -> bool:
        """Read the rights of a client that was refused: they may be new. False: too soon."""
        now = asyncio.get_running_loop().time()
        if now < client.next_lookup_at:
            return False
        client.next_lookup_at = now + LOOKUP_SECONDS
        await self.recheck([client])
        return True
