"""How long events are kept."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Self

from domain.durations import parse_duration
from domain.events.kinds import EventKind

# Whoever follows the log may get that far behind.
LEAST = timedelta(days=1)
FOREVER = "forever"


@dataclass(frozen=True, slots=True)
class Retention:
    """`usual`: of the kinds that `by_kind` does not name. None: for ever."""

    usual: timedelta | None = None
    by_kind: Mapping[EventKind, timedelta | None] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Self:
        """`400d`, `forever,config_applied=30d,token_confirmed=30d`. Raises ValueError."""
        usual: timedelta | None = None
        by_kind: dict[EventKind, timedelta | None] = {}
        for part in text.split(","):
            kind, named, span = part.strip().lower().rpartition("=")
            if not named:
                usual = _age(span)
            elif kind in set(EventKind):
                by_kind[EventKind(kind)] = _age(span)
            else:
                raise ValueError(f"There are no events of the kind {kind!r}.")
        return cls(usual, by_kind)

    def ages(self) -> Mapping[EventKind, timedelta]:
        """Those kinds that are forgotten, and the age at which they are."""
        ages = {kind: self.by_kind.get(kind, self.usual) for kind in EventKind}
        return {kind: age for kind, age in ages.items() if age is not None}


def _age(text: str) -> timedelta | None:
    if text == FOREVER:
        return None
    age = parse_duration(text)
    if age < LEAST:
        raise ValueError("Keep events for a day (1d) at least.")
    return age
