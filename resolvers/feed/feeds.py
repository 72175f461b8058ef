"""The feeds of a process: each reads the log once for all who follow it."""

from dataclasses import dataclass

from db.postgres.database import Database
from resolvers.feed.config_feed import ConfigFeed, config_feed
from resolvers.feed.event_feed import EventFeed, event_feed

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
