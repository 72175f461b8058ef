"""Times in which a chat is told nothing; what happens meanwhile it is told after them."""

from datetime import UTC, datetime, timedelta

from domain.alerts.quiet_hours import QuietHours
from domain.durations import parse_duration
from notifier.channels.channel import Button, Buttons
from notifier.messages.buttons import callback_data
from notifier.telegram.updates.chat import ChatContext
from resolvers.alerts import chats

MUTE = "mute"
LONGEST = timedelta(days=30)
OFF = "off"
SPANS = {"1h": 3_600, "8h": 28_800, "1d": 86_400}


async def mute(context: ChatContext, words: str) -> None:
    """`2h`, `off`; without either, it asks."""
    assert context.recipient is not None  # noqa: S101
    if words.lower() == OFF:
        await _set(context, None)
        return
    if not words:
        until = context.recipient.muted_until
        muted = until is not None and until > datetime.now(UTC)
        text = context.word("muted", until=context.moment(until)) if until and muted else ""
        await context.say(text or context.word("mute_usage"), _spans(context, muted=muted))
        return
    try:
        await _set(context, parse_duration(words))
    except ValueError:
        await context.say(context.word("mute_usage"), _spans(context, muted=False))


async def muted(context: ChatContext, seconds: str) -> None:
    """A button was pressed; 0: be told again."""
    await _set(context, timedelta(seconds=int(seconds)) if seconds != "0" else None)


async def quiet(context: ChatContext, words: str) -> None:
    """`22:00-07:00 Europe/Paris`, `off`; without either, it says how it is."""
    assert context.recipient is not None  # noqa: S101
    if not words:
        hours = context.recipient.quiet_hours
        present = (
            context.word("quiet_hours", hours=hours) if hours else context.word("no_quiet_hours")
        )
        await context.say(f"{present}\n{context.word('quiet_usage')}")
        return
    if words.lower() == OFF:
        await chats.set_quiet_hours(context.services, context.address, None)
        await context.say(context.word("no_quiet_hours"))
        return
    try:
        hours = QuietHours.parse(words, context.zone)
    except ValueError:
        await context.say(context.word("quiet_usage"))
        return
    await chats.set_quiet_hours(context.services, context.address, hours)
    await context.say(context.word("quiet_hours", hours=hours))


async def _set(context: ChatContext, span: timedelta | None) -> None:
    until = await chats.mute(
        context.services, context.address, min(span, LONGEST) if span else None
    )
    text = context.word("muted", until=context.moment(until)) if until else context.word("unmuted")
    await context.show(text, _spans(context, muted=True) if until else ())


def _spans(context: ChatContext, *, muted: bool) -> Buttons:
    spans = [Button(name, callback_data(MUTE, seconds)) for name, seconds in SPANS.items()]
    again = [Button(context.words["buttons"]["unmute"], callback_data(MUTE, 0))]
    return [spans, again] if muted else [spans]
