"""Who is told of events, and what without having asked for it."""

from enum import StrEnum

from domain.access.caller import Caller
from domain.access.tokens import TokenKind
from domain.events.kinds import EventKind

TELEGRAM = "telegram"


class Role(StrEnum):
    """What somebody may do in a chat. VIEWER: be told, and look. ADMIN: change things, too."""

    ADMIN = "admin"
    VIEWER = "viewer"


class DeliveryState(StrEnum):
    """Of one event for one recipient."""

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


def telegram_caller(role: Role, owner_id: int | None, chat: str, user: str | None) -> Caller:
    """Whoever writes in a chat; `user`: who, where it is not the chat's only one."""
    who = f"telegram:{chat}/{user}" if user and user != chat else f"telegram:{chat}"
    return Caller(TokenKind(role), owner_id=owner_id, name=who)
