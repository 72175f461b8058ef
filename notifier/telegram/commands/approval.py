"""The buttons under a device that waits."""

from collections.abc import Awaitable, Callable

from db.tables.devices import Device
from domain.access.caller import Caller
from domain.errors import ErrorCode, InputError
from notifier.telegram.commands.device import card
from notifier.telegram.updates.chat import Talk
from resolvers.devices.approval import approve_device, reject_device
from resolvers.services import Desk

Decide = Callable[[Desk, Caller, str, int], Awaitable[Device]]


async def approve(talk: Talk, id: str, request: str) -> None:
    """`request`: the number of the event by which the device has asked."""
    await _decide(talk, id, int(request), approve_device, "approved")


async def reject(talk: Talk, id: str, request: str) -> None:
    await _decide(talk, id, int(request), reject_device, "rejected_by")


async def _decide(talk: Talk, id: str, request: int, decide: Decide, done: str) -> None:
    """The message loses its buttons: they are good for one press, of whoever comes first."""
    try:
        device = await decide(talk.desk, talk.caller, id, request)
    except InputError as error:
        settled = error.problems[0].code is ErrorCode.CONFLICT
        outcome, device = talk.word("not_waiting" if settled else "no_such_device"), None
    else:
        outcome = talk.word(done, user=talk.user_name)
    before = talk.press.text if talk.press else None
    if before is None and device:
        before = card(talk, device)
    await talk.show(f"{before}\n\n{outcome}" if before else outcome)
    await talk.note(outcome)
