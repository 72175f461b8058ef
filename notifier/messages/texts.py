"""Texts of messages about events, in the recipient's language."""

import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from db.devices.requests import OpenEnrolment
from domain.devices.enrolment import DeviceState
from domain.events.kinds import EventKind
from notifier.channels.channel import Message
from notifier.messages.buttons import event_buttons
from notifier.messages.requests import conflict_lines, fact_lines, request_lines
from resolvers.feed.entries import AuditEvent

FOLDER = Path(__file__).parent / "languages"
FALLBACK = "en"
LANGUAGES = tuple(sorted(file.stem for file in FOLDER.glob("*.toml")))
DIGEST_EXAMPLES = 5
# Events that may ask an administrator for a decision.
REQUESTS = (EventKind.DEVICE_REGISTERED, EventKind.ENROLMENT_REQUESTED)


def texts(language: str) -> dict[str, Any]:
    """Return the texts of a language code such as `ru` or `pt-br`; English if there is no file."""
    code = language.partition("-")[0].lower()
    return _read(code if code in LANGUAGES else FALLBACK)


@cache
def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))


def single(entry: AuditEvent, language: str, requests: Sequence[OpenEnrolment] = ()) -> Message:
    """Return a message about one event.

    `requests`: the open requests for the device that the recipient may decide on.
    """
    words = texts(language)
    number = words["number"].format(number=entry.event.id)
    buttons = event_buttons(entry, words, _request_of(entry, requests))
    return Message(f"{_sentence(entry, words, requests)}\n{number}", [entry], buttons)


def digest(
    counts: Mapping[str, int],
    numbers: tuple[int, int],
    examples: Sequence[AuditEvent],
    language: str,
    *,
    missed_since: datetime | None = None,
) -> Message:
    """Return a message about many events: counts per kind, the first few events, and their numbers.

    `missed_since`: since then nothing could be sent to the recipient.
    """
    words = texts(language)
    total = sum(counts.values())
    if missed_since is None:
        heading = words["digest"].format(total=total)
    else:
        since = f"{missed_since.astimezone(UTC):%Y-%m-%d %H:%M %Z}"
        heading = words["missed"].format(total=total, since=since)
    lines = [heading, *_counted(counts, words)]
    lines += [
        f"• {_sentence(entry, words).splitlines()[0]}" for entry in examples[:DIGEST_EXAMPLES]
    ]
    return Message("\n".join([*lines, _numbers(numbers, words)]), examples)


def summary(counts: Mapping[str, int], numbers: tuple[int, int], language: str) -> Message:
    """Return a replacement of a refused message, without text from people or devices."""
    words = texts(language)
    heading = words["summary"].format(total=sum(counts.values()))
    return Message("\n".join([heading, *_counted(counts, words), _numbers(numbers, words)]), ())


def _counted(counts: Mapping[str, int], words: Mapping[str, Any]) -> list[str]:
    return [words["kinds"][kind].format(count=count) for kind, count in sorted(counts.items())]


def _numbers(numbers: tuple[int, int], words: Mapping[str, Any]) -> str:
    first, last = numbers
    if first == last:
        return str(words["number"].format(number=first))
    return str(words["numbers"].format(first=first, last=last))


def _sentence(
    entry: AuditEvent, words: Mapping[str, Any], requests: Sequence[OpenEnrolment] = ()
) -> str:
    template = words[_template(entry)]
    values = defaultdict(lambda: words["nothing"], _values(entry))
    values["request"] = "\n".join(_request_lines(entry, words, requests))
    lines = (line.format_map(values) for line in template.split("\n"))
    return "\n".join(line for line in lines if line.strip())


def _request_of(entry: AuditEvent, requests: Sequence[OpenEnrolment]) -> OpenEnrolment | None:
    """Return the request that an event asks to decide on, if it is still open."""
    if entry.event.kind not in REQUESTS:
        return None
    id = (entry.after or {}).get("requestId")
    return next((each for each in requests if str(each.row.id) == id), None)


def _request_lines(
    entry: AuditEvent, words: Mapping[str, Any], requests: Sequence[OpenEnrolment]
) -> list[str]:
    after = entry.after or {}
    if "requestId" not in after:
        return []
    if request := _request_of(entry, requests):
        return [*request_lines(request, words), *conflict_lines(requests, words)]
    return fact_lines(after, words)


def _template(entry: AuditEvent) -> str:
    after = entry.after or {}
    pending = after.get("state") == DeviceState.PENDING
    if entry.event.kind == EventKind.DEVICE_REGISTERED and pending:
        return "device_waiting"
    return entry.event.kind


def _values(entry: AuditEvent) -> dict[str, Any]:
    """Values from the event, else from the present device."""
    event, device = entry.event, entry.device
    before, after = entry.before or {}, entry.after or {}
    facts = {**before, **after}
    values = {
        "id": event.device_id,
        "actor": entry.actor,
        "owner": entry.owner or (device and device.owner.name),
        "type": facts.get("measurementType") or (device and device.measurement_type.name),
        "place": facts.get("place") or (device and device.place.name),
        "model": facts.get("sensorModel") or (device and device.sensor_model),
        "coordinates": _coordinates(facts),
        "changes": _changes(before, after),
        "version": facts.get("version"),
        "error": facts.get("error") or "",
        "filter": facts.get("filter"),
        "topic": after.get("topic"),
        "since": _format_time(facts.get("offlineSince")),
        "recipient": " ".join(
            str(facts[n]) for n in ("channel", "name", "address") if facts.get(n)
        ),
        "role": facts.get("role"),
        "replaced": before.get("id"),
        "token": f"{facts.get('kind')} {facts.get('id')} {facts.get('note') or ''}".strip(),
    }
    return {name: value for name, value in values.items() if value is not None}


def _format_time(text: str | None) -> str | None:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M %Z}" if text else None


def _coordinates(facts: Mapping[str, Any]) -> str | None:
    latitude, longitude = facts.get("latitude"), facts.get("longitude")
    return None if latitude is None or longitude is None else f"{latitude}, {longitude}"


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """List the changed values without version, time and actor."""
    names = [n for n in after if n not in ("version", "updatedAt", "updatedBy")]
    changed = [n for n in names if before.get(n) != after[n]]
    return "\n".join(
        f"{name}: {before[name]} → {after[name]}" if name in before else f"{name}: {after[name]}"
        for name in changed
    )
