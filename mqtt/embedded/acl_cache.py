"""What clients may do, as far as it was asked for lately."""

import asyncio
from collections.abc import Collection

from domain.errors import Unavailable
from mqtt.auth.authenticator import Authenticator
from mqtt.embedded.client import Client

# A client that is refused again and again makes us ask no more often than this.
ASK_SECONDS = 1


class AclCache:
    def __init__(self, access: Authenticator) -> None:
        self._access = access

    async def may_publish(self, client: Client, topic: str) -> bool:
        if client.rights.may_publish(topic):
            return True
        return await self._asked(client) and client.rights.may_publish(topic)

    async def may_subscribe(self, client: Client, filter: str) -> bool:
        if client.rights.may_subscribe(filter):
            return True
        return await self._asked(client) and client.rights.may_subscribe(filter)

    async def recheck(self, clients: Collection[Client]) -> None:
        """Asks for all at once; drops who may nothing any more.

        While the database is away, what was known last holds.
        """
        asked = [client for client in clients if client.login.token_id is not None]
        if not asked:
            return
        try:
            rights = await self._access.rights({client.login for client in asked})
        except Unavailable:
            return
        for client in asked:
            if client.login in rights:
                client.rights = rights[client.login]
            else:
                client.stream.abort()

    async def _asked(self, client: Client) -> bool:
        """Afresh, for rights that are new."""
        now = asyncio.get_running_loop().time()
        if now < client.ask_after:
            return False
        client.ask_after = now + ASK_SECONDS
        await self.recheck([client])
        return True
