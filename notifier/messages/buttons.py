"""What can be done about an event, as buttons."""

from collections.abc import Mapping
from typing import Any

from db.tables.devices import AnyDevice
from notifier.channels.channel import Button, Buttons
from resolvers.devices.approval import REQUESTS
from resolvers.feed.entries import AuditEvent

APPROVE, REJECT, DEVICE = "approve", "reject", "device"
SEPARATOR = ":"


def callback_data(what: str, *about: object) -> str:
    """The data of a button: what is wanted, and of whom."""
    return SEPARATOR.join([what, *map(str, about)])


def event_buttons(told: AuditEvent, words: Mapping[str, Any], *, decides: bool) -> Buttons:
    """`decides`: it is for somebody who may approve devices."""
    if told.device is None:
        return ()
    details = [Button(words["buttons"]["device"], callback_data(DEVICE, told.device.id))]
    asks = decides and told.event.kind in REQUESTS
    return [*approval_buttons(told.device, told.event.id if asks else None, words), details]


def approval_buttons(device: AnyDevice, request: int | None, words: Mapping[str, Any]) -> Buttons:
    """Under a device that waits. `request` None: none was made, or another chat decides."""
    if request is None or not device.awaits_approval:
        return ()
    labels = words["buttons"]
    return [
        [
            Button(labels["approve"], callback_data(APPROVE, device.id, request)),
            Button(labels["reject"], callback_data(REJECT, device.id, request)),
        ]
    ]
