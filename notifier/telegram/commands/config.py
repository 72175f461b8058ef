"""A device's config, changed after a question."""

from dataclasses import dataclass

from domain.devices.config import MAX_INTERVAL_SECONDS
from domain.devices.inputs import ConfigChange
from domain.durations import parse_duration
from domain.errors import ErrorCode, InputError
from notifier.channels.channel import Button
from notifier.messages.buttons import callback_data
from notifier.telegram.commands.device import look_up, title
from notifier.telegram.updates.chat import ChatContext
from resolvers.devices.config import update_config

CONFIRM, CANCEL = "config", "cancel"
HIGHEST_QOS = 2


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is left out stays."""

    interval_seconds: int | None = None
    qos: int | None = None


async def config(context: ChatContext, words: str) -> None:
    """`ID interval=30 qos=1`: asks before it changes anything."""
    which, _, settings = words.partition(" ")
    try:
        wanted = _parsed(settings.split())
    except ValueError:
        wanted = None
    if wanted is None:
        await context.say(context.word("config_usage", longest=MAX_INTERVAL_SECONDS))
        return
    device = await look_up(context, which)
    if device is None:
        return
    interval, qos = wanted.interval_seconds, wanted.qos
    lines = []
    if interval not in (None, device.interval_seconds):
        lines.append(context.word("new_interval", old=device.interval_seconds, new=interval))
    if qos not in (None, device.qos):
        lines.append(context.word("new_qos", old=device.qos, new=qos))
    if not lines:
        await context.say(context.word("same_config"))
        return
    question = context.word("config_question", device=title(device))
    labels = context.words["buttons"]
    data = callback_data(
        CONFIRM, device.id, device.config_version, _or_nothing(interval), _or_nothing(qos)
    )
    answers = [Button(labels["confirm"], data), Button(labels["cancel"], callback_data(CANCEL))]
    await context.say("\n".join([question, *lines, f"Id: {device.id}"]), [answers])


async def confirm(context: ChatContext, id: str, version: str, interval: str, qos: str) -> None:
    """Nothing is changed that was changed since the question."""
    change = ConfigChange.check(
        {
            "expectedVersion": version,
            "intervalSeconds": interval or None,
            "qos": qos or None,
        }
    )
    try:
        device = await update_config(context.services, context.caller, id, change)
    except InputError as error:
        conflict = error.problems[0].code is ErrorCode.CONFLICT
        await context.show(context.word("config_changed" if conflict else "no_such_device"))
        return
    told = context.word("config_done", device=title(device), version=device.config_version)
    await context.show(f"{told}\nId: {device.id}")


async def cancel(context: ChatContext) -> None:
    await context.show(context.word("cancelled"))


def _parsed(settings: list[str]) -> Wanted | None:
    """None where nothing is given. Raises ValueError."""
    values = dict(setting.lower().split("=", 1) for setting in settings)
    interval, qos = values.pop("interval", None), values.pop("qos", None)
    if values:
        raise ValueError("Only interval and qos can be set.")
    wanted = Wanted(
        None if interval is None else _interval(interval), None if qos is None else _qos(qos)
    )
    return None if wanted == Wanted() else wanted


def _interval(text: str) -> int:
    seconds = int(text) if text.isdecimal() else int(parse_duration(text).total_seconds())
    if not 1 <= seconds <= MAX_INTERVAL_SECONDS:
        raise ValueError("The interval is too short or too long.")
    return seconds


def _qos(text: str) -> int:
    if not 0 <= int(text) <= HIGHEST_QOS:
        raise ValueError("There is no such QoS.")
    return int(text)


def _or_nothing(value: int | None) -> str:
    return "" if value is None else str(value)
