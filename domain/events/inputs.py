"""Inputs about the event log."""

from typing import Annotated

from pydantic import StringConstraints

from domain.events.kinds import EventKind
from domain.inputs import Input, Moment, Name, Text


class EventSelector(Input):
    """Which events a subscriber wants; None: any. The conditions are combined with AND."""

    device_id: str | None = None
    owner: Name | None = None
    kinds: list[EventKind] | None = None


class EventFilter(Input):
    """The conditions are combined with AND. `since` is inclusive, `until` is exclusive."""

    device_id: str | None = None
    owner: Name | None = None
    kinds: list[EventKind] | None = None
    actor: Annotated[Text, StringConstraints(min_length=1, max_length=100)] | None = None
    since: Moment | None = None
    until: Moment | None = None
