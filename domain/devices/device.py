"""A device as it is read, for answers and not for changes."""

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
    """Of an owner, a place or a measurement type; it never changes."""

    id: int
    name: str
    slug: str


class NameCache(NamedTuple):
    """By id. Only ever added to."""

    owners: dict[int, NamedRef]
    places: dict[int, NamedRef]
    measurement_types: dict[int, NamedRef]

    def missing(self, rows: Sequence[Mapping[str, Any]]) -> tuple[set[int], set[int], set[int]]:
        """Of the devices in some rows; some may have none."""
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
    """For classes with a device's columns as attributes."""

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
    """What the table `devices` has, read from one row; `names` are those of its three levels."""

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
        """One that is not in the database yet."""
        owner, place, type = names
        ids = {"owner_id": owner.id, "place_id": place.id, "measurement_type_id": type.id}
        values = {**dict.fromkeys(COLUMNS), **ids, **columns}
        known = NameCache({owner.id: owner}, {place.id: place}, {type.id: type})
        return cls([values[column] for column in COLUMNS], known)

    def changed(self, **columns: Any) -> Self:
        """Another one, with these values."""
        other = copy.copy(self)
        for column, value in columns.items():
            setattr(other, column, value)
        return other
