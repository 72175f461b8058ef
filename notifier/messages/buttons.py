"""The buttons under messages about events and devices."""

from collections.abc import Mapping, Sequence
from typing import Any

from db.devices.requests import OpenEnrolment
from notifier.channels.channel import Button, Buttons
from resolvers.feed.entries import AuditEvent

APPROVE, REJECT, DEVICE = "approve", "reject", "device"
SEPARATOR = ":"
# Before the id of a request.
REQUEST = "r"


def callback_data(action: str, *arguments: object) -> str:
    """Return the data of a button: the action and its arguments."""
    return SEPARATOR.join([action, *map(str, arguments)])


def event_buttons(
    entry: AuditEvent, words: Mapping[str, Any], request: OpenEnrolment | None
) -> Buttons:
    """`request`: the open request of the event; None if the recipient may not decide on it."""
    if entry.device is None:
        return ()
    details = [Button(words["buttons"]["device"], callback_data(DEVICE, entry.device.id))]
    return [*approval_buttons([request] if request else [], words), details]


def approval_buttons(requests: Sequence[OpenEnrolment], words: Mapping[str, Any]) -> Buttons:
    """Return a row of buttons for each request, with its number if there are several."""
    labels = words["buttons"]
    rows = []
    for row in (request.row for request in requests):
        number = f" {row.id}" if len(requests) > 1 else ""
        rows.append(
            [
                Button(f"{labels[name]}{number}", decision_data(action, row.device_id, row.id))
                for name, action in (("approve", APPROVE), ("reject", REJECT))
            ]
        )
    return rows


def decision_data(action: str, device_id: str, request: int) -> str:
    """Return the data of a button that decides on a request, at most 61 bytes."""
    return callback_data(action, device_id, f"{REQUEST}{request}")


def request_of_button(argument: str) -> str:
    """Return the id of the request. Earlier versions wrote the id of an event: then return ""."""
    return argument.removeprefix(REQUEST) if argument.startswith(REQUEST) else ""
