"""The feeds of a process: each reads the log once for all who follow it."""

import asyncio
from dataclasses import dataclass

from db.database import Database
from resolvers.config_feed import ConfigFeed, config_feed
from resolvers.event_feed import EventFeed, event_feed

CAPACITY = 2_000


@dataclass(frozen=True, slots=True)
class Feeds:
    changes: ConfigFeed
    events: EventFeed

    def wake(self) -> None:
        """There may be something new."""
        self.changes.wake()
        self.events.wake()

    async def run(self) -> None:
        """Until it is cancelled, whatever happens to the database meanwhile."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.changes.run(), name="config feed")
            tasks.create_task(self.events.run(), name="event feed")


def feeds(database: Database, capacity: int = CAPACITY) -> Feeds:
    return Feeds(config_feed(database, capacity), event_feed(database, capacity))
