"""Changes a device's config after a confirmation."""

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
class Settings:
    """None: unchanged."""

    interval_seconds: int | None = None
    qos: int | None = None


async def config(context: ChatContext, arguments: str) -> None:
    """`ID interval=30 qos=1`: ask for confirmation."""
    which, _, assignments = arguments.partition(" ")
    try:
        settings = _parse(assignments.split())
    except ValueError:
        settings = None
    if settings is None:
        await context.send(context.text("config_usage", longest=MAX_INTERVAL_SECONDS))
        return
    device = await look_up(context, which)
    if device is None:
        return
    interval, qos = settings.interval_seconds, settings.qos
    lines = []
    if interval not in (None, device.interval_seconds):
        lines.append(context.text("new_interval", old=device.interval_seconds, new=interval))
    if qos not in (None, device.qos):
        lines.append(context.text("new_qos", old=device.qos, new=qos))
    if not lines:
        await context.send(context.text("same_config"))
        return
    question = context.text("config_question", device=title(device))
    labels = context.texts["buttons"]
    data = callback_data(
        CONFIRM, device.id, device.config_version, _or_empty(interval), _or_empty(qos)
    )
    answers = [Button(labels["confirm"], data), Button(labels["cancel"], callback_data(CANCEL))]
    await context.send("\n".join([question, *lines, f"Id: {device.id}"]), [answers])


async def confirm(context: ChatContext, id: str, version: str, interval: str, qos: str) -> None:
    """Change the config, unless it was changed since the question."""
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
        await context.edit_or_send(context.text("config_changed" if conflict else "no_such_device"))
        return
    done = context.text("config_done", device=title(device), version=device.config_version)
    await context.edit_or_send(f"{done}\nId: {device.id}")


async def cancel(context: ChatContext) -> None:
    await context.edit_or_send(context.text("cancelled"))


def _parse(assignments: list[str]) -> Settings | None:
    """Return None if there are no settings. Raises ValueError if one is invalid."""
    values = dict(each.lower().split("=", 1) for each in assignments)
    interval, qos = values.pop("interval", None), values.pop("qos", None)
    if values:
        raise ValueError("Only interval and qos can be set.")
    settings = Settings(
        None if interval is None else _interval(interval), None if qos is None else _qos(qos)
    )
    return None if settings == Settings() else settings


def _interval(text: str) -> int:
    seconds = int(text) if text.isdecimal() else int(parse_duration(text).total_seconds())
    if not 1 <= seconds <= MAX_INTERVAL_SECONDS:
        raise ValueError("The interval is out of range.")
    return seconds


def _qos(text: str) -> int:
    if not 0 <= int(text) <= HIGHEST_QOS:
        raise ValueError("The QoS is out of range.")
    return int(text)


def _or_empty(value: int | None) -> str:
    return "" if value is None else str(value)
