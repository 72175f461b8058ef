"""Inputs about devices, their configs and links."""

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from domain.devices.config import MAX_INTERVAL_SECONDS
from domain.devices.identity import parse_mac
from domain.inputs import Input, Name, Note, Short, Text, Version


def _mac(value: object) -> bytes:
    if not isinstance(value, str):
        raise ValueError("Give the MAC address as text.")  # noqa: TRY004  pydantic wants ValueError
    return parse_mac(value)


Interval = Annotated[int, Field(ge=1, le=MAX_INTERVAL_SECONDS)]
Qos = Annotated[int, Field(ge=0, le=2)]
Mac = Annotated[bytes, BeforeValidator(_mac)]


class Location(Input):
    """Coordinates in degrees (WGS 84), both or neither."""

    place: Name
    latitude: float | None = Field(default=None, ge=-90, le=90, allow_inf_nan=False)
    longitude: float | None = Field(default=None, ge=-180, le=180, allow_inf_nan=False)

    @model_validator(mode="after")
    def check_coordinates(self) -> Self:
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("Give both latitude and longitude, or neither.")
        return self


class RegistrationInput(Input):
    mac: Mac
    owner: Name | None = None
    location: Location
    measurement_type: Name
    sensor_model: Short | None = None
    firmware: Short | None = None
    applied_version: Version | None = None


class DeviceChange(Input):
    """Omitted values stay unchanged."""

    owner: Name | None = None
    location: Location | None = None
    measurement_type: Name | None = None
    sensor_model: Short | None = None
    firmware: Short | None = None


class ConfigChange(Input):
    """Omitted values stay unchanged. `expected_version` prevents lost updates."""

    interval_seconds: Interval | None = None
    qos: Qos | None = None
    expected_version: Version | None = None

    @model_validator(mode="after")
    def check_not_empty(self) -> Self:
        if self.interval_seconds is None and self.qos is None:
            raise ValueError("Give intervalSeconds, qos or both.")
        return self


class NewLink(Input):
    """The sources of a link: an owner's devices, by place, by type, by both, or one device."""

    owner: Name | None = None
    place: Name | None = None
    measurement_type: Name | None = None
    device_id: str | None = None

    @model_validator(mode="after")
    def check_source(self) -> Self:
        if self.device_id is not None and (self.place or self.measurement_type):
            raise ValueError("Give either deviceId, or place and measurementType.")
        return self


class Acknowledgement(Input):
    version: Version
    error: Note | None = None
    firmware: Short | None = None


class DeviceFilter(Input):
    """The conditions are combined with AND.

    Names match case-insensitively. `search` matches the beginnings of words in names, sensor model,
    firmware and id.
    """

    owner: Name | None = None
    place: Name | None = None
    measurement_type: Name | None = None
    sensor_model: Short | None = None
    state: str | None = None
    awaits_approval: bool | None = None
    in_sync: bool | None = None
    online: bool | None = None
    search: Annotated[Text, StringConstraints(max_length=100)] | None = None
