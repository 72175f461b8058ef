"""The dependencies of every operation."""

from dataclasses import dataclass, field
from typing import Self

from concurrency.keyed_lock import KeyedLock
from db.devices.topic_level_cache import TopicLevelCache
from db.postgres.database import Database
from db.reads.reads import Reads
from db.writes.last_seen import LastSeenBuffer
from db.writes.writes import Writes
from domain.access.rate_limit import RegistrationRateLimiter
from domain.devices.enrolment import EnrolmentPolicy, ReenrolmentPolicy
from resolvers.feed.entries import Feeds, feeds


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where devices reach MQTT. `host` None: the host name by which they reached this server."""

    host: str | None
    port: int
    tls: bool


@dataclass(frozen=True, slots=True)
class Services:
    database: Database
    reads: Reads
    writes: Writes
    feeds: Feeds
    enrolment: EnrolmentPolicy = EnrolmentPolicy.KEY
    reenrolment: ReenrolmentPolicy = ReenrolmentPolicy.APPROVE
    broker: BrokerAddress | None = None
    rate_limiter: RegistrationRateLimiter | None = None
    last_seen: LastSeenBuffer = field(default_factory=LastSeenBuffer)
    device_locks: KeyedLock = field(default_factory=KeyedLock)
    levels: TopicLevelCache = field(default_factory=TopicLevelCache)

    @classmethod
    def for_database(cls, database: Database) -> Self:
        """Services with the default policies, for a command or a test."""
        return cls(database, Reads(database), Writes(database), feeds(database))
