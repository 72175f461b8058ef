"""The buttons that decide on a request for approval."""

from collections.abc import Awaitable, Callable

from db.tables.devices import DeviceRow
from domain.access.caller import Caller
from domain.errors import ErrorCode, InputError
from notifier.messages.buttons import request_of_button
from notifier.telegram.commands.device import card
from notifier.telegram.updates.chat import ChatContext
from resolvers.devices.approval import approve_device, reject_device
from resolvers.devices.requests import requests_for
from resolvers.services import Services

Decide = Callable[[Services, Caller, str, str], Awaitable[DeviceRow]]


async def approve(context: ChatContext, id: str, request: str) -> None:
    """`request`: as in the data of the button."""
    await _decide(context, id, request, approve_device, "approved")


async def reject(context: ChatContext, id: str, request: str) -> None:
    await _decide(context, id, request, reject_device, "rejected_by")


async def _decide(context: ChatContext, id: str, request: str, decide: Decide, done: str) -> None:
    """Decide, and remove the buttons from the message: only the first press counts."""
    try:
        device = await decide(context.services, context.caller, id, request_of_button(request))
    except InputError as error:
        outdated = error.problems[0].code is ErrorCode.CONFLICT
        outcome = context.text("outdated" if outdated else "no_such_device", id=id)
        device = None
    else:
        outcome = context.text(done, user=context.user_name)
    before = context.press.text if context.press else None
    if before is None and device:
        before = card(context, device)
    parts = [*([before, ""] if before else []), outcome]
    if device and (await requests_for(context.services, context.caller, [device.id]))[device.id]:
        parts.append(context.text("others_open", id=id))
    await context.edit_or_send("\n".join(parts))
    await context.answer_press(outcome)
