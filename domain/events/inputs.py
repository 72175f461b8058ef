"""What callers may ask of the event log."""

from typing import Annotated

from pydantic import StringConstraints

from domain.events.kinds import EventKind
from domain.inputs import Input, Moment, Name, Text


class EventFilter(Input):
    """All that is given must hold; `since` belongs to it, `until` does not."""

    device_id: str | None = None
    owner: Name | None = None
    kinds: list[EventKind] | None = None
    actor: Annotated[Text, StringConstraints(min_length=1, max_length=100)] | None = None
    since: Moment | None = None
    until: Moment | None = None
