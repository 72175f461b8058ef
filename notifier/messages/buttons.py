"""The buttons under messages about events and devices."""

from collections.abc import Mapping
from typing import Any

from db.tables.devices import AnyDevice
from notifier.channels.channel import Button, Buttons
from resolvers.devices.approval import REQUESTS
from resolvers.feed.entries import AuditEvent

APPROVE, REJECT, DEVICE = "approve", "reject", "device"
SEPARATOR = ":"


def callback_data(action: str, *arguments: object) -> str:
    """Return the data of a button: the action and its arguments."""
    return SEPARATOR.join([action, *map(str, arguments)])


def event_buttons(entry: AuditEvent, words: Mapping[str, Any], *, can_approve: bool) -> Buttons:
    """`can_approve`: the recipient may approve devices."""
    if entry.device is None:
        return ()
    details = [Button(words["buttons"]["device"], callback_data(DEVICE, entry.device.id))]
    has_request = can_approve and entry.event.kind in REQUESTS
    return [
        *approval_buttons(entry.device, entry.event.id if has_request else None, words),
        details,
    ]


def approval_buttons(device: AnyDevice, request: int | None, words: Mapping[str, Any]) -> Buttons:
    """`request` None: there is no request, or this recipient may not approve devices."""
    if request is None or not device.awaits_approval:
        return ()
    labels = words["buttons"]
    return [
        [
            Button(labels["approve"], callback_data(APPROVE, device.id, request)),
            Button(labels["reject"], callback_data(REJECT, device.id, request)),
        ]
    ]
