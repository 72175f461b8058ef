"""Devices and their configs in the form that the event log stores."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol


class Named(Protocol):
    @property
    def name(self) -> str: ...


class HasConfig(Protocol):
    """A device with its desired config."""

    @property
    def config_version(self) -> int: ...
    @property
    def interval_seconds(self) -> int: ...
    @property
    def qos(self) -> int: ...
    @property
    def listen(self) -> Sequence[str]: ...
    @property
    def config_updated_at(self) -> datetime: ...
    @property
    def config_updated_by(self) -> str: ...


class Described(HasConfig, Protocol):
    """A device with all its described properties."""

    @property
    def id(self) -> str: ...
    @property
    def owner(self) -> Named: ...
    @property
    def place(self) -> Named: ...
    @property
    def measurement_type(self) -> Named: ...
    @property
    def latitude(self) -> float | None: ...
    @property
    def longitude(self) -> float | None: ...
    @property
    def sensor_model(self) -> str | None: ...
    @property
    def firmware(self) -> str | None: ...
    @property
    def state(self) -> str: ...
    @property
    def topic(self) -> str: ...


def changes(before: dict[str, Any], after: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return both sides without the entries that are equal."""
    keys = [key for key in after if before.get(key) != after[key]]
    return {key: before.get(key) for key in keys}, {key: after[key] for key in keys}


def device_facts(device: Described) -> dict[str, Any]:
    """A device, for the event log."""
    return {
        "owner": device.owner.name,
        "place": device.place.name,
        "measurementType": device.measurement_type.name,
        "latitude": device.latitude,
        "longitude": device.longitude,
        "sensorModel": device.sensor_model,
        "firmware": device.firmware,
        "state": str(device.state),
        "topic": device.topic,
    }


def registered_facts(device: Described) -> dict[str, Any]:
    """A device with its config, for the event of its registration or deletion."""
    return {**device_facts(device), **config_facts(device)}


def config_facts(device: HasConfig) -> dict[str, Any]:
    """A config version, complete, so that subscribers need no other row."""
    return {
        "version": device.config_version,
        "intervalSeconds": device.interval_seconds,
        "qos": device.qos,
        "listen": list(device.listen),
        "updatedAt": device.config_updated_at.isoformat(),
        "updatedBy": device.config_updated_by,
    }
