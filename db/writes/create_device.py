"""New devices of many requests at once: each batch is one statement, and one commit.

The way for a device that nobody knew before, whose owner, place and type are known, with an
enrolment key that is not counted; and for one that has lost the answer to that, and asks again.
Everything else is `resolvers/devices/register.py`'s, one by one.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from db.postgres.database import Database
from db.tables.devices import Device
from db.writes.batch_writer import BatchWriter
from domain.devices.device import Name
from domain.names import name_key

MOST_LEVELS = 50_000


@dataclass(frozen=True, slots=True, eq=False)
class NewDevice:
    """A row of `devices`, its first token, and what the log says. `words`: for the search."""

    id: str
    owner_id: int
    place_id: int
    measurement_type_id: int
    topic: str
    latitude: float | None
    longitude: float | None
    sensor_model: str | None
    firmware: str | None
    actor: str
    words: list[str]
    hash: bytes
    mqtt_hash: str
    issued_by: int | None
    facts: dict[str, Any]
    at: datetime
    last_seen_at: datetime | None


@dataclass(frozen=True, slots=True, eq=False)
class Renewal:
    """A token for a device that was told one, and has not used it. `only_owner_id`: whose devices
    it may be for; None: anybody's.
    """

    id: str
    only_owner_id: int | None
    hash: bytes
    mqtt_hash: str
    issued_by: int | None
    actor: str
    at: datetime


# In the order of ids, as everybody locks them. A deleted device comes back by the other way.
INSERT = """
WITH given AS (
    SELECT * FROM {given}
    WHERE NOT EXISTS (SELECT FROM deleted_devices d WHERE d.device_id = given.id)
), made AS (
    INSERT INTO devices (id, owner_id, place_id, measurement_type_id, topic, latitude, longitude,
        sensor_model, firmware, state, config_version, interval_seconds, qos, config_updated_at,
        config_updated_by, last_seen_at, registered_at, updated_at, search)
    SELECT id, owner_id, place_id, measurement_type_id, topic, latitude, longitude,
        sensor_model, firmware, 'active', 1, $2::int, $3::smallint, at,
        actor, last_seen_at, at, at,
        array_to_tsvector(words)
    FROM given ORDER BY id
    ON CONFLICT DO NOTHING RETURNING id, number
), issued AS (
    INSERT INTO tokens (kind, hash, mqtt_hash, device_id, issued_by, created_at, created_by)
    SELECT 'device', hash, mqtt_hash, id, issued_by, at, actor FROM given JOIN made USING (id)
), recorded AS (
    INSERT INTO events (kind, device_id, owner_id, actor, after)
    SELECT 'device_registered', id, owner_id, actor, facts
    FROM given JOIN made USING (id) ORDER BY number
)
SELECT id, number FROM made
"""

# Of a device that has one token, which nobody has used: its secret is replaced. Whoever changes a
# device's tokens locks the device first.
RENEW = """
WITH given AS (
    SELECT * FROM {given}
), known AS MATERIALIZED (
    SELECT d.id, d.number, d.owner_id, g.hash, g.mqtt_hash, g.issued_by, g.actor, g.at
    FROM devices d JOIN given g USING (id)
    WHERE d.state = 'active' AND d.confirmed_at IS NULL
        AND NOT d.awaits_approval AND NOT d.reenrolment_refused
        AND (g.only_owner_id IS NULL OR g.only_owner_id = d.owner_id)
        AND (SELECT count(*) FROM tokens t WHERE t.device_id = d.id) = 1
    ORDER BY d.id FOR UPDATE OF d
), renewed AS (
    UPDATE tokens t SET hash = k.hash, mqtt_hash = k.mqtt_hash, issued_by = k.issued_by,
        created_at = k.at, created_by = k.actor
    FROM known k
    WHERE t.device_id = k.id AND t.confirmed_at IS NULL AND t.revoked_at IS NULL AND NOT t.waiting
        AND (t.issued_by IS NULL OR t.issued_by = k.issued_by)
    RETURNING t.device_id
), changed AS (
    UPDATE devices d SET access_revision = d.access_revision + 1
    FROM renewed r WHERE d.id = r.device_id
), recorded AS (
    INSERT INTO events (kind, device_id, owner_id, actor)
    SELECT 'token_renewed', k.id, k.owner_id, k.actor
    FROM known k JOIN renewed r ON r.device_id = k.id ORDER BY k.number
)
SELECT k.id, k.number FROM known k JOIN renewed r ON r.device_id = k.id
"""


class Registrar:
    """`interval_seconds` and `qos`: the first config of all. `levels`: those known here."""

    def __init__(self, database: Database, interval_seconds: int, qos: int) -> None:
        self.levels = KnownLevels()
        self._new = BatchWriter(database, INSERT, NewDevice, interval_seconds, qos)
        self._lost = BatchWriter(database, RENEW, Renewal)

    def add(self, device: NewDevice) -> "asyncio.Future[int | None]":
        """Its number, once it is committed; None where there is such a device already, or was.

        Raises Unavailable and Overloaded.
        """
        return self._new.submit(device)

    def renew(self, renewal: Renewal) -> "asyncio.Future[int | None]":
        """The device's number, once it is committed; None where there is more to decide.

        Raises Unavailable and Overloaded.
        """
        return self._lost.submit(renewal)

    def close(self) -> None:
        """Names are forgotten, too: the next connection may be to a restored database."""
        self.levels.clear()
        self._new.close()
        self._lost.close()


class KnownLevels:
    """Owners with a place and a measurement type, by their names. They never change."""

    def __init__(self) -> None:
        self._by_owner: OrderedDict[tuple[str | int, str, str], tuple[Name, Name, Name]] = (
            OrderedDict()
        )

    def clear(self) -> None:
        self._by_owner.clear()

    def get(
        self, owner: str | int, place: str, measurement_type: str
    ) -> tuple[Name, Name, Name] | None:
        """`owner`: its name, or its id."""
        return self._by_owner.get((_key(owner), name_key(place), name_key(measurement_type)))

    def learn(self, device: Device) -> None:
        owner, place, type = device.owner, device.place, device.measurement_type
        names = (
            Name(owner.id, owner.name, owner.slug),
            Name(place.id, place.name, place.slug),
            Name(type.id, type.name, type.slug),
        )
        for key in (owner.id, owner.name_key):
            self._by_owner[key, place.name_key, type.name_key] = names
        while len(self._by_owner) > MOST_LEVELS:
            self._by_owner.popitem(last=False)


def _key(owner: str | int) -> str | int:
    return name_key(owner) if isinstance(owner, str) else owner
