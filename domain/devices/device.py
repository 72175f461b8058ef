"""Device records: devices as they are read, never changed."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

from domain.devices.config import Config
from domain.mqtt.topics import Topics, topics_with_filters

COLUMNS = (
    "id",
    "number",
    "owner_id",
    "place_id",
    "measurement_type_id",
    "topic",
    "listen",
    "latitude",
    "longitude",
    "sensor_model",
    "firmware",
    "state",
    "awaits_approval",
    "config_version",
    "interval_seconds",
    "qos",
    "config_updated_at",
    "config_updated_by",
    "applied_version",
    "applied_at",
    "applied_error",
    "online",
    "status_at",
    "last_seen_at",
    "registered_at",
    "updated_at",
)


class NamedRef(NamedTuple):
    """An owner, a place or a measurement type. It never changes."""

    id: int
    name: str
    slug: str


class NameCache(NamedTuple):
    """Names by id. Entries are only added."""

    owners: dict[int, NamedRef]
    places: dict[int, NamedRef]
    measurement_types: dict[int, NamedRef]

    def missing(self, rows: Sequence[Mapping[str, Any]]) -> tuple[set[int], set[int], set[int]]:
        """Return the ids of uncached owners, places and types. Skips rows without a device."""
        owners, places, types = self
        missing: tuple[set[int], set[int], set[int]] = (set(), set(), set())
        for row in rows:
            owner, place, type = row["owner_id"], row["place_id"], row["measurement_type_id"]
            if owner is not None and not (owner in owners and place in places and type in types):
                missing[0].add(owner)
                missing[1].add(place)
                missing[2].add(type)
        return missing


class DeviceProperties:
    """Derived properties, for classes that have a device's columns as attributes."""

    __slots__ = ()

    @property
    def topics(self: Any) -> Topics:
        return topics_with_filters(self.topic, self.listen)

    @property
    def config(self: Any) -> Config:
        return Config(
            self.config_version,
            self.interval_seconds,
            self.qos,
            self.config_updated_at,
            self.config_updated_by,
        )

    @property
    def in_sync(self: Any) -> bool:
        return bool(self.applied_version == self.config_version)


class DeviceRecord(DeviceProperties):
    """A row of the table `devices`, with the names of its owner, place and measurement type."""

    __slots__ = (*COLUMNS, "measurement_type", "owner", "place")

    def __init__(self, row: Sequence[Any], names: NameCache) -> None:
        (
            self.id,
            self.number,
            self.owner_id,
            self.place_id,
            self.measurement_type_id,
            self.topic,
            self.listen,
            self.latitude,
            self.longitude,
            self.sensor_model,
            self.firmware,
            self.state,
            self.awaits_approval,
            self.config_version,
            self.interval_seconds,
            self.qos,
            self.config_updated_at,
            self.config_updated_by,
            self.applied_version,
            self.applied_at,
            self.applied_error,
            self.online,
            self.status_at,
            self.last_seen_at,
            self.registered_at,
            self.updated_at,
        ) = row
        self.owner = names.owners[self.owner_id]
        self.place = names.places[self.place_id]
        self.measurement_type = names.measurement_types[self.measurement_type_id]

    @classmethod
    def of(cls, names: tuple[NamedRef, NamedRef, NamedRef], **columns: Any) -> Self:
        """Build the record of a device that is not in the database yet."""
        owner, place, type = names
        ids = {"owner_id": owner.id, "place_id": place.id, "measurement_type_id": type.id}
        values = {**dict.fromkeys(COLUMNS), **ids, **columns}
        cache = NameCache({owner.id: owner}, {place.id: place}, {type.id: type})
        return cls([values[column] for column in COLUMNS], cache)

    def changed(self, **columns: Any) -> Self:
        """Return a copy with these values."""
        record = copy.copy(self)
        for column, value in columns.items():
            setattr(record, column, value)
        return record
