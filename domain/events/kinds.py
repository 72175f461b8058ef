"""Kinds of events in the event log."""

from enum import StrEnum


class EventKind(StrEnum):
    DEVICE_REGISTERED = "device_registered"
    DEVICE_UPDATED = "device_updated"
    DEVICE_MOVED = "device_moved"
    DEVICE_LEFT = "device_left"
    DEVICE_REPLACED = "device_replaced"
    DEVICE_DELETED = "device_deleted"
    DEVICE_OFFLINE = "device_offline"
    DEVICE_ONLINE = "device_online"
    DEVICE_APPROVED = "device_approved"
    DEVICE_REJECTED = "device_rejected"
    ENROLMENT_REQUESTED = "enrolment_requested"
    CONFIG_CHANGED = "config_changed"
    CONFIG_APPLIED = "config_applied"
    CONFIG_OVERDUE = "config_overdue"
    DEVICE_LINKED = "device_linked"
    DEVICE_UNLINKED = "device_unlinked"
    TOKEN_CREATED = "token_created"  # noqa: S105
    TOKEN_RENEWED = "token_renewed"  # noqa: S105
    TOKEN_CONFIRMED = "token_confirmed"  # noqa: S105
    TOKEN_REVOKED = "token_revoked"  # noqa: S105
    RECIPIENT_INVITED = "recipient_invited"
    RECIPIENT_ADDED = "recipient_added"
    RECIPIENT_REMOVED = "recipient_removed"
