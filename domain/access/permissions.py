"""Which kinds of token may do which actions. Every operation requires an action."""

from enum import Enum, auto

from domain.access.tokens import TokenKind


class Action(Enum):
    READ_SELF = auto()
    READ_DEVICE = auto()
    READ_FLEET = auto()
    READ_ADMINISTRATION = auto()
    REGISTER = auto()
    ACKNOWLEDGE = auto()
    ROTATE_TOKEN = auto()
    CHANGE_DEVICE = auto()
    MANAGE_TOKENS = auto()
    MANAGE_RECIPIENTS = auto()


PERMISSIONS: dict[TokenKind, frozenset[Action]] = {
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
