"""What every operation needs at hand."""

from dataclasses import dataclass, field

from db.database import Database
from db.reader import Reader
from db.registrar import Registrar
from db.sightings import Sightings
from domain.enrolment import EnrolmentPolicy, ReenrolmentPolicy
from resolvers.admission import Admission
from resolvers.feeds import Feeds


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
    feeds: Feeds
    enrolment: EnrolmentPolicy = EnrolmentPolicy.KEY
    reenrolment: ReenrolmentPolicy = ReenrolmentPolicy.APPROVE
    broker: Broker | None = None
    admission: Admission | None = None
    sightings: Sightings = field(default_factory=Sightings)
