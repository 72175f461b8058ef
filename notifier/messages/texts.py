"""What happened, in people's words and language."""

import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from domain.devices.enrolment import DeviceState
from domain.events.kinds import EventKind
from notifier.channels.channel import Message
from notifier.messages.buttons import event_buttons
from resolvers.feed.entries import AuditEvent

FOLDER = Path(__file__).parent / "languages"
FALLBACK = "en"
LANGUAGES = tuple(sorted(file.stem for file in FOLDER.glob("*.toml")))
SHOWN_OF_DIGEST = 5


def texts(language: str) -> dict[str, Any]:
    """Of a language code such as `ru` or `pt-br`; English for those that there is no file of."""
    code = language.partition("-")[0].lower()
    return _read(code if code in LANGUAGES else FALLBACK)


@cache
def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))


def single(told: AuditEvent, language: str, *, decides: bool = False) -> Message:
    """One event. It ends with its number in the log. `decides`: see `offers`."""
    words = texts(language)
    number = words["number"].format(number=told.event.id)
    buttons = event_buttons(told, words, decides=decides)
    return Message(f"{_sentence(told, words)}\n{number}", [told], buttons)


def digest(
    counts: Mapping[str, int],
    numbers: tuple[int, int],
    some: Sequence[AuditEvent],
    language: str,
    *,
    missed_since: datetime | None = None,
) -> Message:
    """Many events: how many of each kind, the first few in a line, and the numbers they have.
    `missed_since`: nothing could be sent from then on.
    """
    words = texts(language)
    total = sum(counts.values())
    if missed_since is None:
        heading = words["digest"].format(total=total)
    else:
        since = f"{missed_since.astimezone(UTC):%Y-%m-%d %H:%M %Z}"
        heading = words["missed"].format(total=total, since=since)
    lines = [heading, *_counted(counts, words)]
    lines += [f"• {_sentence(told, words).splitlines()[0]}" for told in some[:SHOWN_OF_DIGEST]]
    return Message("\n".join([*lines, _numbers(numbers, words)]), some)


def in_short(counts: Mapping[str, int], numbers: tuple[int, int], language: str) -> Message:
    """Instead of a message that is not taken: nothing that people or devices wrote is in it."""
    words = texts(language)
    heading = words["in_short"].format(total=sum(counts.values()))
    return Message("\n".join([heading, *_counted(counts, words), _numbers(numbers, words)]), ())


def _counted(counts: Mapping[str, int], words: Mapping[str, Any]) -> list[str]:
    return [words["kinds"][kind].format(count=count) for kind, count in sorted(counts.items())]


def _numbers(numbers: tuple[int, int], words: Mapping[str, Any]) -> str:
    first, last = numbers
    if first == last:
        return str(words["number"].format(number=first))
    return str(words["numbers"].format(first=first, last=last))


def _sentence(told: AuditEvent, words: Mapping[str, Any]) -> str:
    template = words[_template(told)]
    values = defaultdict(lambda: words["nothing"], _values(told))
    lines = (line.format_map(values) for line in template.split("\n"))
    return "\n".join(line for line in lines if line.strip())


def _template(told: AuditEvent) -> str:
    after = told.event.after or {}
    waits = after.get("state") == DeviceState.PENDING
    if told.event.kind == EventKind.DEVICE_REGISTERED and waits:
        return "device_waiting"
    return told.event.kind


def _values(told: AuditEvent) -> dict[str, Any]:
    """What the event says itself, else what the device is by now."""
    event, device = told.event, told.device
    before, after = event.before or {}, event.after or {}
    facts = {**before, **after}
    values = {
        "id": event.device_id,
        "actor": event.actor,
        "owner": told.owner,
        "type": facts.get("measurementType") or (device and device.measurement_type.name),
        "place": facts.get("place") or (device and device.place.name),
        "model": facts.get("sensorModel") or (device and device.sensor_model),
        "coordinates": _coordinates(facts),
        "changes": _changes(before, after),
        "version": facts.get("version"),
        "error": facts.get("error") or "",
        "filter": facts.get("filter"),
        "topic": after.get("topic"),
        "since": _moment(facts.get("offlineSince")),
        "recipient": " ".join(
            str(facts[n]) for n in ("channel", "name", "address") if facts.get(n)
        ),
        "role": facts.get("role"),
        "replaced": before.get("id"),
        "token": f"{facts.get('kind')} {facts.get('id')} {facts.get('note') or ''}".strip(),
    }
    return {name: value for name, value in values.items() if value is not None}


def _moment(text: str | None) -> str | None:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M %Z}" if text else None


def _coordinates(facts: Mapping[str, Any]) -> str | None:
    latitude, longitude = facts.get("latitude"), facts.get("longitude")
    return None if latitude is None or longitude is None else f"{latitude}, {longitude}"


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Without what changes by itself."""
    names = [n for n in after if n not in ("version", "updatedAt", "updatedBy")]
    changed = [n for n in names if before.get(n) != after[n]]
    return "\n".join(f"{name}: {before.get(name)} → {after[name]}" for name in changed)
