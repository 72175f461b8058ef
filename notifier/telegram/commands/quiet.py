"""Times in which a chat is told nothing; what happens meanwhile it is told after them."""

from datetime import UTC, datetime, timedelta

from domain.alerts.quiet_hours import QuietHours
from domain.durations import parse_span
from notifier.channels.channel import Button, Buttons
from notifier.messages.buttons import pressed
from notifier.telegram.updates.chat import Talk
from resolvers.alerts import chats

MUTE = "mute"
LONGEST = timedelta(days=30)
OFF = "off"
SPANS = {"1h": 3_600, "8h": 28_800, "1d": 86_400}


async def mute(talk: Talk, words: str) -> None:
    """`2h`, `off`; without either, it asks."""
    assert talk.recipient is not None  # noqa: S101
    if words.lower() == OFF:
        await _set(talk, None)
        return
    if not words:
        until = talk.recipient.muted_until
        muted = until is not None and until > datetime.now(UTC)
        text = talk.word("muted", until=talk.moment(until)) if until and muted else ""
        await talk.say(text or talk.word("mute_usage"), _spans(talk, muted=muted))
        return
    try:
        await _set(talk, parse_span(words))
    except ValueError:
        await talk.say(talk.word("mute_usage"), _spans(talk, muted=False))


async def muted(talk: Talk, seconds: str) -> None:
    """A button was pressed; 0: be told again."""
    await _set(talk, timedelta(seconds=int(seconds)) if seconds != "0" else None)


async def quiet(talk: Talk, words: str) -> None:
    """`22:00-07:00 Europe/Paris`, `off`; without either, it says how it is."""
    assert talk.recipient is not None  # noqa: S101
    if not words:
        hours = talk.recipient.quiet_hours
        present = talk.word("quiet_hours", hours=hours) if hours else talk.word("no_quiet_hours")
        await talk.say(f"{present}\n{talk.word('quiet_usage')}")
        return
    if words.lower() == OFF:
        await chats.set_quiet_hours(talk.desk, talk.address, None)
        await talk.say(talk.word("no_quiet_hours"))
        return
    try:
        hours = QuietHours.parse(words, talk.zone)
    except ValueError:
        await talk.say(talk.word("quiet_usage"))
        return
    await chats.set_quiet_hours(talk.desk, talk.address, hours)
    await talk.say(talk.word("quiet_hours", hours=hours))


async def _set(talk: Talk, span: timedelta | None) -> None:
    until = await chats.mute(talk.desk, talk.address, min(span, LONGEST) if span else None)
    text = talk.word("muted", until=talk.moment(until)) if until else talk.word("unmuted")
    await talk.show(text, _spans(talk, muted=True) if until else ())


def _spans(talk: Talk, *, muted: bool) -> Buttons:
    spans = [Button(name, pressed(MUTE, seconds)) for name, seconds in SPANS.items()]
    again = [Button(talk.words["buttons"]["unmute"], pressed(MUTE, 0))]
    return [spans, again] if muted else [spans]
