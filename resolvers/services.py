"""What every operation needs at hand."""

from dataclasses import dataclass, field
from typing import Self

from concurrency.keyed_lock import KeyedLock
from db.devices.topic_level_cache import TopicLevelCache
from db.postgres.database import Database
from db.reads.reads import Reader
from db.writes.last_seen import Sightings
from db.writes.writes import Writes
from domain.access.rate_limit import Admission
from domain.devices.enrolment import EnrolmentPolicy, ReenrolmentPolicy
from resolvers.feed.entries import Feeds, feeds


@dataclass(frozen=True, slots=True)
class Broker:
    """Where devices find MQTT. `host` None: the host that they reached this server by."""

    host: str | None
    port: int
    tls: bool


@dataclass(frozen=True, slots=True)
class Desk:
    database: Database
    reader: Reader
    writes: Writes
    feeds: Feeds
    enrolment: EnrolmentPolicy = EnrolmentPolicy.KEY
    reenrolment: ReenrolmentPolicy = ReenrolmentPolicy.APPROVE
    broker: Broker | None = None
    admission: Admission | None = None
    sightings: Sightings = field(default_factory=Sightings)
    turns: KeyedLock = field(default_factory=KeyedLock)
    levels: TopicLevelCache = field(default_factory=TopicLevelCache)

    @classmethod
    def on(cls, database: Database) -> Self:
        """One that nobody else needs to know of."""
        return cls(database, Reader(database), Writes(database), feeds(database))
