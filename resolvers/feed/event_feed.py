"""Events with what they are about, as people see them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from db.devices import queries as devices
from db.events import browse as audit
from db.postgres.database import Database
from db.tables.devices import Device
from db.tables.events import Event
from domain.access.caller import Caller
from domain.events.kinds import EventKind
from resolvers.feed.feed import Feed


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """`device` and `answers`: as of `ConfigChange`."""

    event: Event
    device: Device | None
    owner: str | None
    answers: dict[Any, Any] = field(default_factory=dict, compare=False)

    def of_its_owner(self) -> "AuditEvent":
        """For whoever may see no more than that: without a device that went to another owner."""
        if self.device and self.device.owner_id != self.event.owner_id:
            return replace(self, device=None, answers={})
        return self

    def seen_by(self, caller: Caller) -> "AuditEvent":
        if self.device and caller.owner_id not in (None, self.device.owner_id):
            return replace(self, device=None, answers={})
        return self


EventFeed = Feed[AuditEvent]


def event_feed(database: Database, capacity: int) -> EventFeed:
    return Feed(database, frozenset(EventKind), with_subjects, capacity)


async def with_subjects(session: AsyncSession, events: Sequence[Event]) -> Mapping[int, AuditEvent]:
    """By the events' ids."""
    ids = {event.device_id for event in events if event.device_id}
    found = await devices.by_ids(session, ids) if ids else {}
    owners = await audit.owner_names(session, events)
    return {
        event.id: AuditEvent(
            event, found.get(event.device_id or ""), owners.get(event.owner_id or 0)
        )
        for event in events
    }
