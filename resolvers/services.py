"""What every operation needs at hand."""

from dataclasses import dataclass, field
from typing import Self

from concurrency.keyed_lock import KeyedLock
from db.postgres.database import Database
from db.reads.reads import Reader
from db.writes.create_device import Registrar
from db.writes.last_seen import Sightings
from db.writes.writes import Writes
from domain.access.rate_limit import Admission
from domain.devices.config import DEFAULT_INTERVAL_SECONDS, DEFAULT_QOS
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
    registrar: Registrar
    writes: Writes
    feeds: Feeds
    enrolment: EnrolmentPolicy = EnrolmentPolicy.KEY
    reenrolment: ReenrolmentPolicy = ReenrolmentPolicy.APPROVE
    broker: Broker | None = None
    admission: Admission | None = None
    sightings: Sightings = field(default_factory=Sightings)
    turns: KeyedLock = field(default_factory=KeyedLock)

    @classmethod
    def on(cls, database: Database) -> Self:
        """One that nobody else needs to know of."""
        registrar = Registrar(database, DEFAULT_INTERVAL_SECONDS, DEFAULT_QOS)
        return cls(
            database,
            Reader(database),
            registrar,
            Writes(database),
            feeds(database),
        )
