"""Retention of events, by kind."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Self

from domain.durations import parse_duration
from domain.events.kinds import EventKind

# Subscribers must be able to resume after an interruption of this length.
MIN_AGE = timedelta(days=1)
FOREVER = "forever"


@dataclass(frozen=True, slots=True)
class Retention:
    """`usual`: for the kinds that are not in `by_kind`. None: events are never deleted."""

    usual: timedelta | None = None
    by_kind: Mapping[EventKind, timedelta | None] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `400d` or `forever,config_applied=30d,token_confirmed=30d`.

        Raises ValueError for anything else.
        """
        usual: timedelta | None = None
        by_kind: dict[EventKind, timedelta | None] = {}
        for part in text.split(","):
            kind, named, age = part.strip().lower().rpartition("=")
            if not named:
                usual = _parse_age(age)
            elif kind in set(EventKind):
                by_kind[EventKind(kind)] = _parse_age(age)
            else:
                raise ValueError(f"Unknown event kind {kind!r}: give one such as config_applied.")
        return cls(usual, by_kind)

    def ages(self) -> Mapping[EventKind, timedelta]:
        """Return the kinds whose events are deleted, and the age at which that happens."""
        ages = {kind: self.by_kind.get(kind, self.usual) for kind in EventKind}
        return {kind: age for kind, age in ages.items() if age is not None}


def _parse_age(text: str) -> timedelta | None:
    if text == FOREVER:
        return None
    age = parse_duration(text)
    if age < MIN_AGE:
        raise ValueError("Keep events for at least one day (1d).")
    return age
