"""What a broker has to ask before it lets somebody in."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from domain.mqtt.rights import Rights


@dataclass(frozen=True, slots=True)
class Login:
    """A client that gave a valid user name and password. `token_id` None: this server itself."""

    username: str
    token_id: int | None


class Authenticator(Protocol):
    async def login(self, username: str, password: str) -> Login | None:
        """None: not with this user name and password. Raises Unavailable."""

    async def rights(self, logins: Collection[Login]) -> Mapping[Login, Rights]:
        """What each may do now; those that may do nothing any more are left out.

        Raises Unavailable.
        """
