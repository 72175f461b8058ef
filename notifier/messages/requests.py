"""Where a request for approval came from, as lines of a message."""

from collections.abc import Mapping, Sequence
from typing import Any

from db.devices.requests import OpenEnrolment
from db.events.record import request_facts


def fact_lines(facts: Mapping[str, Any], words: Mapping[str, Any]) -> list[str]:
    """`facts`: those of an event about the request. Viewers get them without the address."""
    texts, lines = words["request"], []
    hardware = [facts[name] for name in ("sensorModel", "firmware") if facts.get(name)]
    if "address" in facts:
        address = facts["address"]
        lines = [texts["address"].format(address=address) if address else texts["unknown_address"]]
    if hardware:
        lines.append(texts["hardware"].format(hardware=", ".join(hardware)))
    return lines


def request_lines(request: OpenEnrolment, words: Mapping[str, Any]) -> list[str]:
    """Return the lines about an open request, without other requests for the device."""
    texts, row, key = words["request"], request.row, request.key
    lines = fact_lines(request_facts(row), words)
    if key:
        name = f"{key.id}, {key.note}" if key.note else str(key.id)
        lines.append(texts["key"].format(key=name))
    lines.append(texts["times"].format(times=row.times_asked))
    if row.foreign_owner:
        lines.append(texts["foreign"])
    return lines


def conflict_lines(requests: Sequence[OpenEnrolment], words: Mapping[str, Any]) -> list[str]:
    """Return a warning if there is more than one request for a device."""
    count = len(requests)
    return [words["request"]["conflict"].format(count=count)] if count > 1 else []
