"""The buttons under a device that waits for approval."""

from collections.abc import Awaitable, Callable

from db.tables.devices import DeviceRow
from domain.access.caller import Caller
from domain.errors import ErrorCode, InputError
from notifier.telegram.commands.device import card
from notifier.telegram.updates.chat import ChatContext
from resolvers.devices.approval import approve_device, reject_device
from resolvers.services import Services

Decide = Callable[[Services, Caller, str, int], Awaitable[DeviceRow]]


async def approve(context: ChatContext, id: str, request: str) -> None:
    """`request`: the id of the event with the device's request."""
    await _decide(context, id, int(request), approve_device, "approved")


async def reject(context: ChatContext, id: str, request: str) -> None:
    await _decide(context, id, int(request), reject_device, "rejected_by")


async def _decide(context: ChatContext, id: str, request: int, decide: Decide, done: str) -> None:
    """Decide, and remove the buttons from the message: only the first press counts."""
    try:
        device = await decide(context.services, context.caller, id, request)
    except InputError as error:
        settled = error.problems[0].code is ErrorCode.CONFLICT
        outcome, device = context.text("not_waiting" if settled else "no_such_device"), None
    else:
        outcome = context.text(done, user=context.user_name)
    before = context.press.text if context.press else None
    if before is None and device:
        before = card(context, device)
    await context.edit_or_send(f"{before}\n\n{outcome}" if before else outcome)
    await context.answer_press(outcome)
