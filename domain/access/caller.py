"""Callers: who makes a request, what it may do and see."""

from dataclasses import dataclass
from typing import NamedTuple

from domain.access.permissions import PERMISSIONS, Action
from domain.access.tokens import TokenKind
from domain.errors import Forbidden, Unauthenticated


@dataclass(frozen=True, slots=True)
class Scope:
    """Which devices a caller can see: all, one owner's, or one. Others appear not to exist."""

    owner_id: int | None = None
    device_id: str | None = None


class Caller(NamedTuple):
    """Who makes a request. `kind` None: an anonymous caller, without a token.

    `waiting`: the token belongs to a device, and an administrator must approve it first.
    `address`: the client's IP address.
    """

    kind: TokenKind | None = None
    token_id: int | None = None
    owner_id: int | None = None
    device_id: str | None = None
    waiting: bool = False
    max_uses: int | None = None
    name: str | None = None
    address: str | None = None

    @property
    def actor(self) -> str:
        """The caller's name in the event log: `admin:1`, `device:<id>`, `telegram:<chat>`,
        `system`, `anonymous`.
        """
        if self.name:
            return self.name
        if self.kind is None:
            return "anonymous"
        return f"{self.kind}:{self.device_id or self.token_id}"

    def __str__(self) -> str:
        return self.actor

    @property
    def scope(self) -> Scope:
        return Scope(self.owner_id, self.device_id)

    @property
    def visibility_key(self) -> tuple[TokenKind | None, int | None, str | None, bool]:
        """Callers with the same key see the same data."""
        return self.kind, self.owner_id, self.device_id, self.waiting

    def may(self, action: Action) -> bool:
        """Return whether the caller may do this."""
        if self.kind is None or action not in PERMISSIONS[self.kind]:
            return False
        return not self.waiting or action is Action.REGISTER

    def require(self, action: Action) -> None:
        """Raises Unauthenticated or Forbidden unless the caller may do this."""
        if self.kind is None:
            raise Unauthenticated("This needs a token: send `Authorization: Bearer <token>`.")
        if action not in PERMISSIONS[self.kind]:
            raise Forbidden(f"A token of kind {self.kind.name} may not do this.")
        if self.waiting and action is not Action.REGISTER:
            raise Forbidden("This device is pending: an administrator must approve it first.")


ANONYMOUS = Caller()


def system(name: str) -> Caller:
    """The server itself or its command line, with an administrator's rights."""
    return Caller(kind=TokenKind.ADMIN, name=name)
