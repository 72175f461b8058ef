"""Config changes and events in the form that subscribers get, and their feeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from db.devices import queries as device_queries
from db.events import browse as event_pages
from db.postgres.database import Database
from db.tables.devices import DeviceRow
from db.tables.events import EventRow
from domain.access.actors import shown_actor
from domain.access.caller import Caller
from domain.devices.config import Config
from domain.events.kinds import EventKind
from domain.events.visibility import shown_facts
from resolvers.feed.feed import Feed

KINDS = frozenset({EventKind.CONFIG_CHANGED})


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """`device`: its current state; None if it was deleted or moved to another owner.

    `responses`: cache for the transport, which formats each response once for many subscribers.
    """

    cursor: str
    device: DeviceRow | None
    config: Config
    previous: Config
    responses: dict[Any, Any] = field(default_factory=dict, compare=False)


ConfigFeed = Feed[ConfigChange]


def config_feed(database: Database, capacity: int) -> ConfigFeed:
    return Feed(database, KINDS, _prepare, capacity)


async def _prepare(session: AsyncSession, events: Sequence[EventRow]) -> Mapping[int, ConfigChange]:
    found = await device_queries.by_ids(
        session, {event.device_id for event in events if event.device_id}
    )
    return {
        event.id: ConfigChange(
            str(event.id),
            found.get(event.device_id or ""),
            _config(event.after),
            _config(event.before),
        )
        for event in events
    }


def _config(facts: Mapping[str, Any] | None) -> Config:
    assert facts is not None  # noqa: S101
    return Config(
        version=facts["version"],
        interval_seconds=facts["intervalSeconds"],
        qos=facts["qos"],
        updated_at=datetime.fromisoformat(facts["updatedAt"]),
        updated_by=facts["updatedBy"],
    )


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """An event. `actor`, `before` and `after`: what may be shown of them.

    `device` and `responses`: as in `ConfigChange`. `views`: cache of `visible_to`.
    """

    event: EventRow
    device: DeviceRow | None
    owner: str | None
    slug: str | None
    actor: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    responses: dict[Any, Any] = field(default_factory=dict, compare=False)
    views: dict[Any, "AuditEvent"] = field(default_factory=dict, compare=False)

    def without_foreign_device(self) -> "AuditEvent":
        """Hide the device if it has moved to another owner since, for recipients of one owner."""
        if self.device and self.event.owner_id not in (None, self.device.owner_id):
            return replace(self, device=None, responses={}, views={})
        return self

    def visible_to(self, caller: Caller) -> "AuditEvent":
        """Hide what the caller can't see: the device, the actor, facts of another owner."""
        key = caller.visibility_key
        if key not in self.views:
            self.views[key] = self._view(caller)
        return self.views[key]

    def _view(self, caller: Caller) -> "AuditEvent":
        hidden = self.device and caller.owner_id not in (None, self.device.owner_id)
        event, owner, slug = self.event, self.owner, self.slug
        return replace(
            self,
            device=None if hidden else self.device,
            actor=shown_actor(event.actor, caller),
            before=shown_facts(event.before, caller, owner, slug, before=True),
            after=shown_facts(event.after, caller, owner, slug, before=False),
            responses={},
            views={},
        )


EventFeed = Feed[AuditEvent]


def event_feed(database: Database, capacity: int) -> EventFeed:
    return Feed(database, frozenset(EventKind), load_entries, capacity)


async def load_entries(
    session: AsyncSession, events: Sequence[EventRow]
) -> Mapping[int, AuditEvent]:
    """Return the entries by the ids of their events."""
    ids = {event.device_id for event in events if event.device_id}
    found = await device_queries.by_ids(session, ids) if ids else {}
    owners = await event_pages.owner_names(session, events)
    entries = {}
    for event in events:
        owner, slug = owners.get(event.owner_id or 0, (None, None))
        device = found.get(event.device_id or "")
        facts = (event.actor, event.before, event.after)
        entries[event.id] = AuditEvent(event, device, owner, slug, *facts)
    return entries


# Items in the queue of one subscriber.
CAPACITY = 2_000


@dataclass(frozen=True, slots=True)
class Feeds:
    changes: ConfigFeed
    events: EventFeed

    def wake(self) -> None:
        """Poll the event log now: it may have new events."""
        self.changes.wake()
        self.events.wake()


def feeds(database: Database, capacity: int = CAPACITY) -> Feeds:
    return Feeds(config_feed(database, capacity), event_feed(database, capacity))
