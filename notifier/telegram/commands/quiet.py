"""Muting and quiet hours of a chat. Alerts of that time are sent afterwards."""

from datetime import UTC, datetime, timedelta

from domain.alerts.quiet_hours import QuietHours
from domain.durations import parse_duration
from notifier.channels.channel import Button, Buttons
from notifier.messages.buttons import callback_data
from notifier.telegram.updates.chat import ChatContext
from resolvers.alerts import chats

MUTE = "mute"
MAX_MUTE = timedelta(days=30)
OFF = "off"
SPANS = {"1h": 3_600, "8h": 28_800, "1d": 86_400}


async def mute(context: ChatContext, argument: str) -> None:
    """`2h` or `off`. Without an argument, show buttons with durations."""
    assert context.recipient is not None  # noqa: S101
    if argument.lower() == OFF:
        await _set(context, None)
        return
    if not argument:
        until = context.recipient.muted_until
        muted = until is not None and until > datetime.now(UTC)
        text = context.text("muted", until=context.format_time(until)) if until and muted else ""
        await context.send(text or context.text("mute_usage"), _spans(context, muted=muted))
        return
    try:
        await _set(context, parse_duration(argument))
    except ValueError:
        await context.send(context.text("mute_usage"), _spans(context, muted=False))


async def muted(context: ChatContext, seconds: str) -> None:
    """Handle a button. `seconds` 0: end the muting."""
    await _set(context, timedelta(seconds=int(seconds)) if seconds != "0" else None)


async def quiet(context: ChatContext, argument: str) -> None:
    """`22:00-07:00 Europe/Paris` or `off`. Without an argument, show the quiet hours."""
    assert context.recipient is not None  # noqa: S101
    if not argument:
        hours = context.recipient.quiet_hours
        present = (
            context.text("quiet_hours", hours=hours) if hours else context.text("no_quiet_hours")
        )
        await context.send(f"{present}\n{context.text('quiet_usage')}")
        return
    if argument.lower() == OFF:
        await chats.set_quiet_hours(context.services, context.address, None)
        await context.send(context.text("no_quiet_hours"))
        return
    try:
        hours = QuietHours.parse(argument, context.zone)
    except ValueError:
        await context.send(context.text("quiet_usage"))
        return
    await chats.set_quiet_hours(context.services, context.address, hours)
    await context.send(context.text("quiet_hours", hours=hours))


async def _set(context: ChatContext, span: timedelta | None) -> None:
    until = await chats.mute(
        context.services, context.address, min(span, MAX_MUTE) if span else None
    )
    text = (
        context.text("muted", until=context.format_time(until))
        if until
        else context.text("unmuted")
    )
    await context.edit_or_send(text, _spans(context, muted=True) if until else ())


def _spans(context: ChatContext, *, muted: bool) -> Buttons:
    spans = [Button(name, callback_data(MUTE, seconds)) for name, seconds in SPANS.items()]
    again = [Button(context.texts["buttons"]["unmute"], callback_data(MUTE, 0))]
    return [spans, again] if muted else [spans]
