"""The interface by which a broker authenticates and authorizes its clients."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from domain.mqtt.rights import Rights


@dataclass(frozen=True, slots=True)
class Login:
    """A client with a valid user name and password. `token_id` None: this server itself."""

    username: str
    token_id: int | None


class Authenticator(Protocol):
    async def login(self, username: str, password: str) -> Login | None:
        """Return None if user name or password is wrong. Raises Unavailable."""

    async def rights(self, logins: Collection[Login]) -> Mapping[Login, Rights]:
        """Return the current rights of each login. Logins without a valid token are omitted.

        Raises Unavailable.
        """
