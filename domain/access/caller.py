"""Who may do what. Every operation names its action; this table has the answer."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from domain.access.tokens import TokenKind
from domain.errors import Forbidden, Unauthenticated


class Action(Enum):
    READ_SELF = auto()
    READ_DEVICE = auto()
    READ_FLEET = auto()
    REGISTER = auto()
    ACKNOWLEDGE = auto()
    ROTATE_TOKEN = auto()
    CHANGE_DEVICE = auto()
    MANAGE_TOKENS = auto()
    MANAGE_RECIPIENTS = auto()


ALLOWED: dict[TokenKind, frozenset[Action]] = {
    TokenKind.ADMIN: frozenset(Action) - {Action.ACKNOWLEDGE},
    TokenKind.VIEWER: frozenset({Action.READ_SELF, Action.READ_DEVICE, Action.READ_FLEET}),
    TokenKind.ENROL: frozenset({Action.REGISTER}),
    TokenKind.DEVICE: frozenset(
        {
            Action.READ_SELF,
            Action.READ_DEVICE,
            Action.REGISTER,
            Action.ACKNOWLEDGE,
            Action.ROTATE_TOKEN,
        }
    ),
}


@dataclass(frozen=True, slots=True)
class Scope:
    """Which devices a caller can see: all, one owner's, or one. Nothing else exists for it."""

    owner_id: int | None = None
    device_id: str | None = None


class Caller(NamedTuple):
    """Whoever makes a request. `kind` None: nobody in particular.

    `waiting`: a device whose token an administrator has still to approve. `address`: the IP
    address that it calls from.
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
        """How the audit log calls the caller: `admin:1`, `device:<id>`, `telegram:<chat>`,
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
    def viewpoint(self) -> tuple[TokenKind | None, int | None, str | None, bool]:
        """Whoever has the same one sees the same."""
        return self.kind, self.owner_id, self.device_id, self.waiting

    def require(self, action: Action) -> None:
        """Raises Unauthenticated or Forbidden unless the caller may do this."""
        if self.kind is None:
            raise Unauthenticated("This needs a token: send `Authorization: Bearer <token>`.")
        if action not in ALLOWED[self.kind]:
            raise Forbidden(f"A token of kind {self.kind.name} may not do this.")
        if self.waiting and action is not Action.REGISTER:
            raise Forbidden("This device waits for an administrator's approval.")


ANONYMOUS = Caller()


def system(name: str) -> Caller:
    """The server itself, or its command line: may do everything."""
    return Caller(kind=TokenKind.ADMIN, name=name)
