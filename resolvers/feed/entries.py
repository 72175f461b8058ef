"""Config changes and events as subscribers get them, and the feeds of them."""

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
from domain.access.caller import Caller
from domain.devices.config import Config
from domain.events.kinds import EventKind
from resolvers.feed.feed import Feed

KINDS = frozenset({EventKind.CONFIG_CHANGED})


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """`device` as it is by now; None where it was deleted, or went to another owner.

    `answers`: what was told of it already, for those who tell it.
    """

    cursor: str
    device: DeviceRow | None
    config: Config
    previous: Config
    answers: dict[Any, Any] = field(default_factory=dict, compare=False)


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
    """`device` and `answers`: as of `ConfigChange`."""

    event: EventRow
    device: DeviceRow | None
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
    return Feed(database, frozenset(EventKind), load_entries, capacity)


async def load_entries(
    session: AsyncSession, events: Sequence[EventRow]
) -> Mapping[int, AuditEvent]:
    """By the events' ids."""
    ids = {event.device_id for event in events if event.device_id}
    found = await device_queries.by_ids(session, ids) if ids else {}
    owners = await event_pages.owner_names(session, events)
    return {
        event.id: AuditEvent(
            event, found.get(event.device_id or ""), owners.get(event.owner_id or 0)
        )
        for event in events
    }


CAPACITY = 2_000


@dataclass(frozen=True, slots=True)
class Feeds:
    changes: ConfigFeed
    events: EventFeed

    def wake(self) -> None:
        """There may be something new."""
        self.changes.wake()
        self.events.wake()


def feeds(database: Database, capacity: int = CAPACITY) -> Feeds:
    return Feeds(config_feed(database, capacity), event_feed(database, capacity))
