"""What people are told without having asked for it."""

from domain.events import EventKind

USUAL = frozenset(
    {
        EventKind.DEVICE_REGISTERED,
        EventKind.ENROLMENT_REQUESTED,
        EventKind.DEVICE_APPROVED,
        EventKind.DEVICE_REJECTED,
        EventKind.DEVICE_MOVED,
        EventKind.DEVICE_DELETED,
        EventKind.CONFIG_CHANGED,
        EventKind.CONFIG_OVERDUE,
        EventKind.TOKEN_CREATED,
        EventKind.TOKEN_REVOKED,
    }
)
