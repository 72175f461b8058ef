"""Recipients of alerts: roles, delivery states, and the event kinds sent by default."""

from enum import StrEnum

from domain.access.caller import Caller
from domain.access.permissions import PERMISSIONS, Action
from domain.access.tokens import TokenKind
from domain.events.kinds import EventKind

TELEGRAM = "telegram"


class Role(StrEnum):
    """What a chat may do. VIEWER: receive alerts and read. ADMIN: also make changes."""

    ADMIN = "admin"
    VIEWER = "viewer"


class DeliveryState(StrEnum):
    """State of the delivery of one event to one recipient."""

    WAITING = "waiting"
    SENT = "sent"
    DEAD = "dead"


DEFAULT_KINDS = frozenset(
    {
        EventKind.DEVICE_REGISTERED,
        EventKind.ENROLMENT_REQUESTED,
        EventKind.DEVICE_APPROVED,
        EventKind.DEVICE_REJECTED,
        EventKind.DEVICE_MOVED,
        EventKind.DEVICE_LEFT,
        EventKind.DEVICE_REPLACED,
        EventKind.DEVICE_DELETED,
        EventKind.DEVICE_OFFLINE,
        EventKind.DEVICE_ONLINE,
        EventKind.CONFIG_CHANGED,
        EventKind.CONFIG_OVERDUE,
        EventKind.TOKEN_CREATED,
        EventKind.TOKEN_REVOKED,
        EventKind.RECIPIENT_ADDED,
        EventKind.RECIPIENT_REMOVED,
    }
)


# The roles that get events of administration.
ADMINISTRATORS = frozenset(
    role for role in Role if Action.READ_ADMINISTRATION in PERMISSIONS[TokenKind(role)]
)


def recipient_caller(role: str, owner_id: int | None) -> Caller:
    """Return a caller with the rights of a recipient, to decide what an alert may contain."""
    return Caller(TokenKind(role), owner_id=owner_id)


def telegram_caller(role: Role, owner_id: int | None, chat: str, user: str | None) -> Caller:
    """Return the caller for a Telegram chat. `user`: the sender's id, which groups need."""
    actor = f"telegram:{chat}/{user}" if user and user != chat else f"telegram:{chat}"
    return Caller(TokenKind(role), owner_id=owner_id, name=actor)
